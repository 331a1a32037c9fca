// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Where nodes that share a log tell each other their present state, which is not part of history.
///
/// Each node keeps one posting under its name and renews it, so that it is gone some time after the node is. The
/// contract, which `MartletTesting` checks with the same suite for every board:
///
/// - **Whole.** A posting is seen as it was posted or not at all, and only the last of each node.
/// - **Fresh.** What was posted, renewed or removed when a call has returned is so for this node at once, and for the others
///   soon. They see the postings of a node in their order.
/// - **Expiring.** A posting is seen until it is removed or its expiry has passed since it was posted or renewed, and soon
///   after that no more.
///
/// All methods may be called from anywhere, at the same time; those that change the posting of one node only one after the
/// other, and on one board. A board that is away throws, and in a time that is short
/// against an expiry. A cancelled call has either taken effect when it returns, or never does.
public protocol NodeBoard: Sendable {
    /// The most bytes of a posting.
    var maximumBytes: Int { get }

    /// Puts a posting in the place of the node's last one.
    ///
    /// - Throws: ``MartletError`` of the code `tooLarge` where it has more than ``maximumBytes``; nothing has changed
    ///   then.
    func post(_ posting: NodePosting, as node: NodeName, for expiry: Duration) async throws

    /// Has the node's posting expire later, or sooner.
    ///
    /// - Returns: Whether there is one. Where there is none it has to be posted again.
    func renew(_ node: NodeName, for expiry: Duration) async throws -> Bool

    /// Removes the node's posting, if there is one.
    func remove(_ node: NodeName) async throws

    /// The versions of all postings that are there.
    func versions() async throws -> [NodeName: UInt64]

    /// The last posting of a node; `nil` if there is none, or not any more.
    func posting(of node: NodeName) async throws -> NodePosting?
}

extension NodeBoard {
    /// Throws where a posting is larger than the board takes.
    package func check(_ posting: NodePosting) throws(MartletError) {
        guard posting.bytes.count > maximumBytes else { return }
        let message = "A posting has \(posting.bytes.count) bytes. Post at most \(maximumBytes)."
        throw MartletError(.tooLarge, field: "bytes", message)
    }
}

/// The name of one run of a node: random, and never used again.
public struct NodeName: Hashable, Sendable, Comparable, CustomStringConvertible {
    private let exact: ExactText

    /// Of a new name 16 digits and lower-case letters.
    public var text: String { exact.string }

    /// A new name, told from all others by 80 random bits.
    public init() { self.init(text: Epoch().text + Epoch().text) }

    /// A name that was made before.
    public init(text: String) { exact = ExactText(text) }

    public var description: String { text }

    public static func < (a: NodeName, b: NodeName) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
}

/// The state that a node publishes to the others, as a whole.
public struct NodePosting: Hashable, Sendable {
    /// Counted by the node, so that a reader that knows a version need not read the posting again.
    public var version: UInt64
    /// Bytes that only nodes understand.
    public var bytes: [UInt8]

    public init(version: UInt64, bytes: [UInt8]) {
        self.version = version
        self.bytes = bytes
    }

    /// The most bytes of a posting, where a board is not told otherwise.
    public static let defaultMaximumBytes = 16 * 1024 * 1024
}
