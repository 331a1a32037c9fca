// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Stands in the pipeline of a channel before the handler that encodes HTTP, so that frames that were encoded once go out
/// as they are.
///
/// While the channel is not writable nothing is written. A client that closes its side, even only its sending side, ends
/// the stream.
final class ChannelSink: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let shard: ChannelShard
    private let framing: Framing
    /// Until the shard has it.
    private var subscription: Subscription?
    private var context: ChannelHandlerContext?
    /// What the shard calls the stream.
    var token: SinkToken?

    /// The most that is written before it is asked whether the channel is still writable.
    private static let runBytes = 64 * 1024

    init(_ subscription: Subscription, shard: ChannelShard, framing: Framing) {
        self.subscription = subscription
        self.shard = shard
        self.framing = framing
    }

    // MARK: What the channel does

    func handlerAdded(context: ChannelHandlerContext) {
        guard let subscription else { return }
        self.context = context
        self.subscription = nil
        shard.add(subscription, to: self, framing: framing)
        context.channel.closeOnPeerClose()
        if !context.channel.isWritable { shard.writabilityChanged(of: self, to: false) }
        context.read()
    }

    /// What the client still sends is read, so that its end is noticed, and dropped: no request behind the stream is
    /// answered.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func channelReadComplete(context: ChannelHandlerContext) { context.read() }

    func handlerRemoved(context: ChannelHandlerContext) { release() }

    func channelInactive(context: ChannelHandlerContext) {
        release()
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        shard.writabilityChanged(of: self, to: context.channel.isWritable)
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A server that shuts down asks its connections to finish. The owner of the hub may not know of it yet.
        if event is ChannelShouldQuiesceEvent { shard.fanOut.beginDrain() }
        context.fireUserInboundEventTriggered(event)
    }

    private func release() {
        guard context != nil else { return }
        context = nil
        shard.remove(self)
    }

    // MARK: What the shard does

    /// Writes bytes for as long as the channel is writable.
    func send(_ bytes: UnsafeRawBufferPointer) -> SendResult {
        var rest = bytes[...]
        while let context, context.channel.isWritable, !rest.isEmpty {
            let run = rest.prefix(Self.runBytes)
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: run)), promise: nil)
            rest = rest.dropFirst(run.count)
        }
        return .sent(bytes.count - rest.count)
    }

    func finish() { context?.close(mode: .output, promise: nil) }

    func close() { context?.close(promise: nil) }
}
