// SPDX-License-Identifier: Apache-2.0

/// Where nodes that share a log say to all others what they have done.
///
/// What a node says reaches every other node that listens, in the order in which it was said, and is not kept for nodes that
/// begin later. It may reach one twice, if saying it had failed. A node that listens no more for long misses the oldest.
///
/// All methods may be called from anywhere; what must stay in order is said one after the other. A channel that is away
/// throws, soon.
public protocol NodeChannel: Sendable {
    /// The most bytes that can be said at once.
    var mostBytesSaid: Int { get }

    /// Says something to the other nodes. Returns once they can hear it.
    func say(_ bytes: [UInt8]) async throws

    /// What the others have said since the last call, or a part of it. Suspends until there is something, at most for some
    /// time. The first call begins to listen.
    func hear(within time: Duration) async throws -> [[UInt8]]
}
