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
/// - The answer to HEAD has no body, and where it would be a stream no length (RFC 9110, section 9.3.2).
/// - `Expect: 100-continue` is answered (RFC 9110, section 10.1.1), and `Connection: close` is understood however it is
///   written.
/// - A head goes out together with what is written in the same turn of the event loop.
/// - A request without a host, with two, or with one that is none, is refused (RFC 9112, section 3.2). Above the limit of
///   connections every request is.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private struct Exchange {
        var isHTTP10: Bool
        var isHead: Bool
        var closes: Bool
    }

    private let limit: ConnectionLimit
    private let hub: Hub
    private var isRefused = false
    /// The requests that are not answered yet. As many as the server reads ahead.
    private var exchanges: Deque<Exchange> = []
    /// Whether a head was written, and nothing behind it.
    private var hasWrittenHead = false

    init(limit: ConnectionLimit, hub: Hub) {
        self.limit = limit
        self.hub = hub
    }

    /// Whether the request that is being answered is an HTTP/1.0 request.
    var isHTTP10: Bool { exchanges.first?.isHTTP10 ?? false }

    func handlerAdded(context: ChannelHandlerContext) {
        isRefused = !limit.open()
        context.channel.closeFuture.assumeIsolated().whenComplete { [limit] _ in limit.close() }
        // Who is refused has to ask soon to be told so.
        guard isRefused else { return }
        let channel = context.channel
        context.eventLoop.scheduleTask(in: .init(limit.patience)) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data) else {
            if !isRefused { context.fireChannelRead(data) }
            return
        }
        if isRefused {
            let problem = Problem(
                .serviceUnavailable, "The server has all the connections it may have. Try again later.",
                headers: [.retryAfter: "\(limit.retryAfter.components.seconds)"])
            return refuse(head, problem, context: context)
        }
        let isHTTP10 = head.isHTTP10
        do {
            try head.settleTarget()
        } catch {
            isRefused = true
            return refuse(head, error, context: context)
        }
        let closes = isHTTP10 || head.headers[canonicalForm: "connection"].contains { $0.lowercased() == "close" }
        exchanges.append(Exchange(isHTTP10: isHTTP10, isHead: head.method == .HEAD, closes: closes))
        if closes { head.headers.replaceOrAdd(name: "connection", value: "close") }
        if !isHTTP10, head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" }) {
            let goOn = HTTPResponseHead(version: .http1_1, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(goOn)), promise: nil)
        }
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A server that shuts down asks its connections to finish. The hub may be the last to hear of it.
        if event is ChannelShouldQuiesceEvent { hub.beginDrain() }
        context.fireUserInboundEventTriggered(event)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard let exchange = exchanges.first else { return context.write(data, promise: promise) }
        hasWrittenHead = false
        switch unwrapOutboundIn(data) {
        case .head(var head):
            hasWrittenHead = true
            if exchange.isHTTP10 { head.version = .http1_0 }
            if exchange.closes { head.headers.replaceOrAdd(name: "connection", value: "close") }
            if exchange.isHead, head.isEventStream { head.headers.remove(name: "content-length") }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body where exchange.isHead:
            context.write(wrapOutboundOut(.nothing), promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            exchanges.removeFirst()
            // The end of a chunked body would be a body.
            context.write(exchange.isHead ? wrapOutboundOut(.nothing) : data, promise: promise)
        }
    }

    /// What follows a head usually comes at once, and goes out with it.
    func flush(context: ChannelHandlerContext) {
        guard hasWrittenHead else { return context.flush() }
        hasWrittenHead = false
        context.eventLoop.assumeIsolated().execute { context.flush() }
    }

    private func refuse(_ request: HTTPRequestHead, _ problem: Problem, context: ChannelHandlerContext) {
        let body = problem.document
        var headers = HTTPHeaders(problem.allHeaders.map { ($0.name.canonicalName, $0.value) })
        headers.add(name: "content-length", value: "\(body.readableBytes)")
        headers.add(name: "connection", value: "close")
        let status = HTTPResponseStatus(statusCode: problem.status.code, reasonPhrase: problem.status.reasonPhrase)
        let head = HTTPResponseHead(version: request.version, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            context.close(promise: nil)
        }
    }
}

extension HTTPServerResponsePart {
    /// Writes nothing and completes its promise in its turn.
    fileprivate static var nothing: HTTPServerResponsePart { .body(.byteBuffer(ByteBuffer())) }
}

extension HTTPResponseHead {
    fileprivate var isEventStream: Bool { headers["content-type"].first == "text/event-stream" }
}
