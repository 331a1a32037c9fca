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
    /// Whether nothing comes any more, and the client has everything.
    package let isOver: Bool
    /// Which topics of the selection had ended. Only those that it names are among them.
    package let ended: EndedTopics
    package let profile: StreamProfile
    /// `nil`: the subscription belongs to no principal and has no end.
    let lease: Lease?
    /// `nil` if the ends of streams are not reported.
    let client: StreamClient?

    init(
        fanOut: FanOut, selection: Selection, feed: FeedID, start: Cursor, position: Position, gap: Gap? = nil,
        isOver: Bool = false, hasValues: Bool = false, ended: EndedTopics = EndedTopics(),
        profile: StreamProfile = .standard,
        lease: Lease? = nil, client: StreamClient? = nil
    ) {
        self.fanOut = fanOut
        self.selection = selection
        self.feed = feed
        self.start = start
        self.position = position
        self.gap = gap
        self.isOver = isOver
        self.hasValues = hasValues
        self.ended = ended
        self.profile = profile
        self.lease = lease
        self.client = client
    }

    deinit { fanOut.close(feed) }

    /// Whether the client first receives the current value of each key, without ids.
    package var beginsWithValues: Bool { if case .values(_, _, .values) = start { true } else { false } }

    /// Whether the client has asked for current values: it receives them behind each gap, too.
    let hasValues: Bool

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

/// The topics of a selection that have ended, among those that it names.
package struct EndedTopics: Sendable {
    package var topics: [Topic] = []
    /// Where they have ended.
    var positions: [Position] = []
    /// Whether all topics have ended, so that nothing comes any more.
    package var areAll = false
}
