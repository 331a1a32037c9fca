// SPDX-License-Identifier: Apache-2.0

/// Where nodes that share a log keep small secrets that one of them takes, once.
///
/// What was put when a call has returned can be taken by every node, by exactly one of those that ask, and only until it
/// expires. All methods may be called from anywhere, at the same time. A store that is away throws, soon.
public protocol OneTimeStore: Sendable {
    /// Where this node puts things: names of what it puts begin with it and a dot. Empty if that does not matter.
    var place: String { get }

    /// Keeps some bytes under a name, in the place of others, for some time.
    func put(_ bytes: [UInt8], as name: String, for expiry: Duration) async throws

    /// Removes the bytes of a name, and returns them; `nil` if there are none, or not any more.
    func take(_ name: String) async throws -> [UInt8]?
}

extension OneTimeStore {
    public var place: String { "" }
}
