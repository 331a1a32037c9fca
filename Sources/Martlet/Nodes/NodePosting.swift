// SPDX-License-Identifier: Apache-2.0

/// What a node lets the others know, as a whole.
public struct NodePosting: Hashable, Sendable {
    /// Another for each posting of a node, so that who knows one need not read it again. The node counts.
    public var version: UInt64
    /// What only nodes understand.
    public var bytes: [UInt8]

    public init(version: UInt64, bytes: [UInt8]) {
        self.version = version
        self.bytes = bytes
    }

    /// The most bytes of a posting, where a board is not told otherwise.
    public static let defaultMaximumBytes = 16 * 1024 * 1024
}
