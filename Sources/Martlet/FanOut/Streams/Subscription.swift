// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// A place in a feed, kept for a client from the moment its request was understood. Given back when it is released.
package final class Subscription: Sendable {
    package let fanOut: FanOut
    let selection: Selection
    let feed: FeedID
    let start: Cursor
    /// The stream goes on with everything after this position.
    package let position: Position
    /// The client receives this before all events.
    package let gap: Gap?
    /// `nil`: the subscription belongs to no principal and has no end.
    let lease: Lease?

    init(
        fanOut: FanOut, selection: Selection, feed: FeedID, start: Cursor, position: Position, gap: Gap? = nil,
        lease: Lease? = nil
    ) {
        self.fanOut = fanOut
        self.selection = selection
        self.feed = feed
        self.start = start
        self.position = position
        self.gap = gap
        self.lease = lease
    }

    deinit { fanOut.close(feed) }

    /// Writes the subscription to a channel, or to the socket of the channel, which is closed then. Called on the
    /// channel's event loop.
    ///
    /// - Parameters:
    ///   - opening: The blocks before the events. The head of the response is written already.
    ///   - handler: Encodes what the application writes. The bytes of the stream do not pass it.
    ///   - framing: How the response is framed.
    ///   - handOff: Called when the socket of the channel begins to count in the hub, which waits.
    /// - Returns: whether the stream goes on without the channel.
    package func stream(
        _ opening: [WireBytes] = [], to channel: any Channel, before handler: some ChannelHandler, framing: Framing,
        handOff: () -> Void = {}
    ) throws -> Bool {
        let context = try channel.pipeline.syncOperations.context(handler: handler)
        for block in opening { context.write(NIOAny(block.framed(as: framing)), promise: nil) }
        context.flush()
        #if os(Linux)
        if let shard = fanOut.nextSocketShard(), let socket = channel.duplicateSocket(behind: handler) {
            shard.adopt(self, socket: socket, framing: framing, from: channel.eventLoop, handOff: handOff)
            // The connection goes on with the duplicate.
            channel.close(promise: nil)
            return true
        }
        #endif
        let sink = ChannelSink(self, shard: fanOut.shard(of: channel.eventLoop), framing: framing)
        try channel.pipeline.syncOperations.addHandler(sink, position: .before(handler))
        return false
    }
}

/// Why a stream has ended.
enum StreamEnd: String, CaseIterable, Sendable {
    /// The client left, or its connection broke.
    case client
    /// The client took nothing for the write timeout.
    case slow
    /// The connection was as old as it may get.
    case age
    /// The right to the stream has ended.
    case expired
    /// The right to the stream was taken back.
    case revoked
    /// The hub drained.
    case drained
    /// The hub stopped.
    case stopped
}
