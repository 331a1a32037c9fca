// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Writes a subscription to a NIO channel, from the channel's event loop.
///
/// It stands in the pipeline in front of whatever encodes HTTP, so that frames that were encoded once go out as they
/// are. It holds a cursor and no queue: while the channel is not writable the cursor stays where it is, so that a channel
/// holds what makes it unwritable, and one event more, or 64 KiB of history. A client that closes its side, even only its
/// sending side, ends the stream. Everything is released when the channel is closed.
final class ChannelSink: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// Moves together with all sinks of its feed on this event loop.
        case grouped
        /// Catches up by itself.
        case alone
        /// Waits for a slice of history.
        case reading
        /// Says nothing any more.
        case ended
    }

    let subscription: Subscription
    private let shard: ChannelShard
    private let framing: Framing
    private var context: ChannelHandlerContext?
    private var state = State.alone
    private var reason = StreamEnd.client
    /// What is to happen to the stream at certain times.
    var tasks: [Scheduled<Void>] = []
    /// Ends the stream with its lease.
    var leaseEnd: Scheduled<Void>?
    /// Closes a channel that takes nothing.
    private var writeDeadline: Scheduled<Void>?
    /// Where it stands; before the slice while it has one.
    private var cursor: Cursor
    /// History that it is writing.
    private var slice: ReplaySlice?
    /// How many bytes of the slice it has written.
    private var sliceOffset = 0
    /// Where it has asked for the slice; given up when it has written what the channel takes of it.
    private var place: Replayer.Place?
    /// Whether its turn to write will come, or has.
    private var isInLine = false

    /// How much of a slice is written at once. It is copied, so that a channel that blocks does not keep the slice.
    private static let runBytes = 64 * 1024

    init(_ subscription: Subscription, shard: ChannelShard, framing: Framing) {
        self.subscription = subscription
        self.shard = shard
        self.framing = framing
        self.cursor = subscription.start
    }

    /// Whether the channel is gone, and nothing more can happen to the stream.
    var isReleased: Bool { context == nil }

    private var isWritable: Bool { context?.channel.isWritable ?? false }

    // MARK: The channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        shard.add(self)
        context.channel.closeOnPeerClose()
        watchWritability(of: context.channel)
        context.read()
        pump()
    }

    /// Whatever the client still sends is read, so that the end of it is noticed, and dropped: nothing that it asks for
    /// behind the stream is executed.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func channelReadComplete(context: ChannelHandlerContext) { context.read() }

    func handlerRemoved(context: ChannelHandlerContext) { release() }

    func channelInactive(context: ChannelHandlerContext) {
        release()
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        watchWritability(of: context.channel)
        pump()
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A server that shuts down asks its connections to finish. Whoever owns the hub may not have heard yet.
        if event is ChannelShouldQuiesceEvent { subscription.hub.beginDrain() }
        context.fireUserInboundEventTriggered(event)
    }

    private func release() {
        guard context != nil else { return }
        context = nil
        state = .ended
        (slice, place) = (nil, nil)
        for task in tasks { task.cancel() }
        leaseEnd?.cancel()
        subscription.lease?.observe(nil)
        writeDeadline?.cancel()
        shard.remove(self, because: reason)
    }

    /// A client that takes nothing for the write timeout is disconnected.
    private func watchWritability(of channel: any Channel) {
        guard !channel.isWritable else {
            writeDeadline?.cancel()
            writeDeadline = nil
            return
        }
        guard writeDeadline == nil else { return }
        let sink = NIOLoopBound(self, eventLoop: shard.eventLoop)
        writeDeadline = shard.eventLoop.scheduleTask(in: shard.writeTimeout) {
            sink.value.reason = .slow
            channel.close(promise: nil)
        }
    }

    // MARK: Moving the cursor

    /// Takes what the group takes, if it is in the group and its channel is writable; else goes on alone.
    ///
    /// - Parameters:
    ///   - entries: What the group has not written yet, the oldest first.
    ///   - mark: Where the group stands afterwards.
    func take(_ entries: ShortList<Feed.Entry>, through mark: Mark) {
        guard case .grouped = state, case .at(let own) = cursor, isWritable else { return leaveGroup() }
        guard mark.sequence > own.sequence else { return }
        // Who has just caught up may be ahead of the group.
        if !write(entries.drop { $0.sequence <= own.sequence }, through: mark) { leaveGroup() }
    }

    /// Goes on alone, as far as the channel takes it.
    func leaveGroup() {
        if case .grouped = state { state = .alone }
        pump()
    }

    /// Moves a sink that is alone as far as nothing has to be written. For that it waits for its turn.
    private func pump() {
        guard case .alone = state, isWritable, !isInLine else { return }
        guard slice == nil else { return lineUp() }
        switch shard.step(subscription.feed, cursor) {
        case .deliver:
            lineUp()
        case .replay(let position, let mark):
            read(after: position, through: mark)
        case .caughtUp(let mark):
            cursor = .at(mark)
            state = .grouped
        case .ahead:
            return
        }
    }

    private func lineUp() {
        isInLine = true
        shard.lineUp(self)
    }

    /// Writes one slice, as far as the channel takes it. Writing may end in ``pump()``, which waits until it is over.
    func takeTurn() {
        if case .alone = state { writeNext() }
        place = nil
        isInLine = false
        pump()
    }

    private func read(after position: Position, through mark: Mark) {
        state = .reading
        let request = Replayer.Request(
            selection: subscription.selection, after: position, through: mark, framing: framing)
        let sink = NIOLoopBound(self, eventLoop: shard.eventLoop)
        place = shard.read(request) { result in
            sink.eventLoop.execute { sink.value.finishReading(result) }
        }
    }

    private func finishReading(_ result: Result<ReplaySlice, any Error>) {
        guard case .reading = state else { return }
        state = .alone
        // A log that is away is asked again with the next heartbeat.
        guard case .success(let slice) = result else {
            place = nil
            return
        }
        if let gap = slice.gap {
            subscription.hub.metrics.gap(gap.reason)
            write(.gap(gap))
        }
        self.slice = slice
        lineUp()
    }

    /// The shard's heartbeat: the id of the end of the log for who is there, a comment for who is not.
    func beat(_ heartbeat: WireBytes, at mark: Mark) {
        guard isWritable else { return }
        switch state {
        case .grouped:
            // Who has just joined may be ahead of the group.
            if case .at(let own) = cursor, own.sequence > mark.sequence { return }
            cursor = .at(mark)
            write(heartbeat)
        case .alone, .reading:
            write(.comment)
            pump()
        case .ended:
            break
        }
    }

    // MARK: Writing

    private func writeNext() {
        if let slice {
            write(slice)
        } else if isWritable, case .deliver(let entries, let mark, _) = shard.step(subscription.feed, cursor) {
            _ = write(entries[...], through: mark)
        }
    }

    /// Writes entries for as long as the channel is writable, and stands behind what was written. Returns whether that is
    /// all.
    ///
    /// - Parameter mark: Where it stands when it has written all.
    private func write(_ entries: Swift.Slice<ShortList<Feed.Entry>>, through mark: Mark) -> Bool {
        var rest = entries
        var bytes = 0
        while let context, isWritable, !rest.isEmpty {
            while isWritable, let entry = rest.popFirst() {
                let buffer = entry.frame.bytes.framed(as: framing)
                bytes += buffer.readableBytes
                cursor = .at(entry.mark)
                context.write(wrapOutboundOut(buffer), promise: nil)
            }
            context.flush()
        }
        shard.count(deliveries: entries.count - rest.count, bytes: bytes)
        if rest.isEmpty { cursor = .at(mark) }
        return rest.isEmpty
    }

    /// Writes a slice for as long as the channel is writable. The rest is kept where there is room, else read again.
    private func write(_ slice: ReplaySlice) {
        let written = slice.count(in: sliceOffset)
        var (count, bytes) = (written, sliceOffset)
        while let context, isWritable, bytes < slice.bytes.count {
            count = max(slice.count(in: bytes + Self.runBytes), count + 1)
            let run = slice.bytes(from: bytes, through: count)
            bytes += run.readableBytes
            context.writeAndFlush(wrapOutboundOut(run), promise: nil)
        }
        shard.count(deliveries: count - written, replayed: count - written, bytes: bytes - sliceOffset)
        let isAll = bytes == slice.bytes.count
        guard isAll || !shard.hasRoom else {
            sliceOffset = bytes
            return
        }
        cursor = isAll ? slice.end : count > 0 ? slice.cursor(after: count) : cursor
        self.slice = nil
        sliceOffset = 0
    }

    private func write(_ bytes: WireBytes) {
        context?.writeAndFlush(wrapOutboundOut(bytes.framed(as: framing)), promise: nil)
    }

    /// Ends the stream properly: a last block that says when to come back, the end of the body, the end of the
    /// connection once the client has closed its side too, or after a while without that.
    func end(because reason: StreamEnd, retry: Duration) {
        guard let context, state != .ended else { return }
        state = .ended
        (slice, place) = (nil, nil)
        self.reason = reason
        context.write(wrapOutboundOut(WireBytes.retry(retry).framed(as: framing)), promise: nil)
        if case .chunked = framing { context.write(wrapOutboundOut(ByteBuffer(string: "0\r\n\r\n")), promise: nil) }
        context.flush()
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        channel.eventLoop.scheduleTask(in: shard.lingering) { channel.close(promise: nil) }
    }
}
