// SPDX-License-Identifier: Apache-2.0

import HummingbirdCore
import NIOCore
import NIOHTTPTypes

/// Makes the bytes of a stream the body of an answer on a connection that carries several, as HTTP/2 does.
final class BodyEncoder: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = HTTPResponsePart

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        context.write(wrapOutboundOut(.body(unwrapOutboundIn(data))), promise: promise)
    }

    /// The end of the stream is the end of the body; the connection has others.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard case .output = mode else { return context.close(mode: mode, promise: promise) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
    }
}

extension Channel {
    /// Has bytes be written as the body of the answer whose head is written already, where they are written before the
    /// handler that this returns. Called on the event loop.
    func addBodyEncoder() throws -> HTTPConnectionStateHandler {
        let pipeline = pipeline.syncOperations
        let handler = try pipeline.handler(type: HTTPConnectionStateHandler.self)
        try pipeline.addHandler(BodyEncoder(), position: .before(handler))
        return handler
    }
}
