// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Ends a connection whose last answer is out: closes its sending side, and reads and drops what the client still sends
/// until the client closes, too. A connection that is closed over bytes nobody read is reset, and the answer may be lost.
final class Lingering: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var dropped = 0
    private var end: Scheduled<Void>?

    func handlerAdded(context: ChannelHandlerContext) {
        end = context.eventLoop.assumeIsolated().scheduleTask(in: ConnectionBounds.lingering) {
            context.close(promise: nil)
        }
        context.close(mode: .output, promise: nil)
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        dropped += unwrapInboundIn(data).readableBytes
        if dropped > ConnectionBounds.lingeringBytes { context.close(promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.read() }

    func handlerRemoved(context: ChannelHandlerContext) { end?.cancel() }
}
