// SPDX-License-Identifier: Apache-2.0

import HummingbirdCore
import NIOCore
import NIOHTTPTypes

/// Turns the bytes of a stream into the body of an answer, on a connection that carries several streams, as in HTTP/2.
final class BodyEncoder: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = HTTPResponsePart

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        context.write(wrapOutboundOut(.body(unwrapOutboundIn(data))), promise: promise)
    }

    /// The end of the stream is the end of the body. The connection goes on with its other streams.
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard case .output = mode else { return context.close(mode: mode, promise: promise) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
    }
}

extension Channel {
    /// Prepares the channel for a body whose head is written already: bytes that are written before the returned handler
    /// become the body. Call it on the event loop.
    func addBodyEncoder() throws -> HTTPConnectionStateHandler {
        let pipeline = pipeline.syncOperations
        let handler = try pipeline.handler(type: HTTPConnectionStateHandler.self)
        try pipeline.addHandler(BodyEncoder(), position: .before(handler))
        return handler
    }
}
