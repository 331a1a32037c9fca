// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// A place in a feed, kept for a client from the moment its request was understood. Given back when it is released.
package final class Subscription: Sendable {
    package let hub: Hub
    let selection: Selection
    let feed: FeedID
    let start: Cursor
    /// The stream goes on with everything after this position.
    package let position: Position
    /// What the client has to be told before.
    package let gap: Gap?
    /// `nil`: it is anybody's and lasts for as long as it likes.
    let lease: Lease?

    init(
        hub: Hub, selection: Selection, feed: FeedID, start: Cursor, position: Position, gap: Gap? = nil,
        lease: Lease? = nil
    ) {
        self.hub = hub
        self.selection = selection
        self.feed = feed
        self.start = start
        self.position = position
        self.gap = gap
        self.lease = lease
    }

    deinit { hub.close(feed) }

    /// Writes the subscription to a channel, or to the socket of the channel, which is closed then. Called on the
    /// channel's event loop.
    ///
    /// - Parameters:
    ///   - opening: What comes before the events. The head of the response is written already.
    ///   - handler: Encodes what the application writes. What is written here does not pass it.
    ///   - framing: How the response is framed.
    ///   - handOff: Called when the socket of the channel begins to count in ``Hub/withSocketCount(_:)``, which waits.
    /// - Returns: whether the stream goes on without the channel.
    package func stream(
        _ opening: [WireBytes] = [], to channel: any Channel, before handler: some ChannelHandler, framing: Framing,
        handOff: () -> Void = {}
    ) throws -> Bool {
        let context = try channel.pipeline.syncOperations.context(handler: handler)
        for block in opening { context.write(NIOAny(block.framed(as: framing)), promise: nil) }
        context.flush()
        #if os(Linux)
        if let shard = hub.nextSocketShard(), let socket = channel.duplicateSocket(behind: handler) {
            shard.adopt(self, socket: socket, framing: framing, from: channel.eventLoop, handOff: handOff)
            // The connection goes on with the duplicate.
            channel.close(promise: nil)
            return true
        }
        #endif
        let sink = ChannelSink(self, shard: hub.shard(of: channel.eventLoop), framing: framing)
        try channel.pipeline.syncOperations.addHandler(sink, position: .before(handler))
        return false
    }
}
