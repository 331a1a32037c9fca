// SPDX-License-Identifier: Apache-2.0

import DequeModule
import HTTPTypes
import Martlet
import NIOCore
import NIOHTTP1

/// Sees the requests of a connection as they came, before their HTTP version is forgotten.
///
/// - HTTP/1.0 (which nginx speaks to its backends unless told otherwise) is answered as HTTP/1.0: no transfer coding, and
///   the end of the connection is the end of the body (RFC 9112, section 6.3).
/// - A stream has no length that the answer to HEAD could name, so that answer has none.
/// - Above the limit of connections every request is refused.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private struct Exchange {
        var version: HTTPVersion
        var isHead: Bool
    }

    private let limit: ConnectionLimit
    private let hub: Hub
    private var isRefused = false
    /// The requests that are not answered yet. As many as the server reads ahead.
    private var exchanges: Deque<Exchange> = []

    init(limit: ConnectionLimit, hub: Hub) {
        self.limit = limit
        self.hub = hub
    }

    /// Whether the request that is being answered is an HTTP/1.0 request.
    var isHTTP10: Bool { exchanges.first?.version.isHTTP10 ?? false }

    func handlerAdded(context: ChannelHandlerContext) {
        isRefused = !limit.open()
        context.channel.closeFuture.assumeIsolated().whenComplete { [limit] _ in limit.close() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return refuse(unwrapInboundIn(data), context: context) }
        guard case .head(var head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        exchanges.append(Exchange(version: head.version, isHead: head.method == .HEAD))
        if head.version.isHTTP10 { head.headers.replaceOrAdd(name: "connection", value: "close") }
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A server that shuts down asks its connections to finish. The hub may be the last to hear of it.
        if event is ChannelShouldQuiesceEvent { hub.beginDrain() }
        context.fireUserInboundEventTriggered(event)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head):
            if isHTTP10 {
                head.version = .http1_0
                head.headers.replaceOrAdd(name: "connection", value: "close")
            }
            if exchanges.first?.isHead == true, head.isEventStream { head.headers.remove(name: "content-length") }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end(let trailers):
            // The end of a chunked body would be a body. An empty part writes nothing and completes the promise.
            let isHead = exchanges.popFirst()?.isHead == true
            let part = isHead ? HTTPServerResponsePart.body(.byteBuffer(ByteBuffer())) : .end(trailers)
            context.write(wrapOutboundOut(part), promise: promise)
        }
    }

    private func refuse(_ part: HTTPServerRequestPart, context: ChannelHandlerContext) {
        guard case .head(let request) = part else { return }
        let body = Problem(.serviceUnavailable, "The server has all the connections it may have. Try again later.")
            .document
        let headers: HTTPHeaders = [
            "content-type": "application/problem+json", "content-length": "\(body.readableBytes)",
            "retry-after": "\(limit.retryAfter.components.seconds)", "connection": "close",
        ]
        let head = HTTPResponseHead(version: request.version, status: .serviceUnavailable, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }
}

extension HTTPVersion {
    /// HTTP/1.0 or older: knows no transfer coding.
    fileprivate var isHTTP10: Bool { major < 1 || (major == 1 && minor == 0) }
}

extension HTTPResponseHead {
    fileprivate var isEventStream: Bool { headers["content-type"].first == "text/event-stream" }
}
