// SPDX-License-Identifier: Apache-2.0

import DequeModule
import HTTPTypes
import Logging
import Martlet
import MartletSupport
import NIOCore
import NIOHTTP1

/// Sees the requests of a connection as they came, before their HTTP version is forgotten, and decides when it ends.
///
/// - HTTP/1.0 (which nginx speaks to its backends unless told otherwise) is answered as HTTP/1.0: no transfer coding, and
///   the end of the connection is the end of the body (RFC 9112, section 6.3).
/// - The answer to HEAD has no body, and where it would be a stream no length (RFC 9110, section 9.3.2).
/// - A client that waits to be asked for a body is asked when the body is first read, and not where it is refused before
///   (`Expect: 100-continue`, RFC 9110, section 10.1.1). `Connection: close` is understood however it is written.
/// - A head goes out together with what is written in the same turn of the event loop.
/// - What is no request, or not one that this server takes, is refused: behind the answers to the requests before it, with
///   a problem document, as the last on the connection. Where only the body is at fault, whoever reads it gets the
///   ``Problem``, and answers with it.
/// - A body must come at a pace: see ``ConnectionBounds``. Little of it is read behind its answer.
/// - The connection ends with a ``Lingering`` after the last answer. A stream has it for itself.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private struct Exchange {
        let isHTTP10: Bool
        let isHead: Bool
        /// Whether the connection ends with the answer.
        var closes: Bool
        /// Whether the answer has no body, whatever is written as one.
        var dropsBody = false
    }

    /// The request whose end has not come yet.
    private struct Incoming {
        /// How long its body is; `nil` where its chunks say so.
        let length: Int?
        let offersUpgrade: Bool
        /// Whether the client was not asked for the body yet, and waits for that.
        var waitsToBeAsked: Bool
        var received = 0
        /// How much must have come at the deadline; `nil`: there is none yet.
        var goal: Int?
    }

    private enum Phase {
        case open
        /// The connection is a stream's, which ends it.
        case streaming
        /// The last answer is written.
        case ending
    }

    private let bounds: ConnectionBounds
    private let limit: ConnectionLimit
    private let isAboveLimit: Bool
    private let decoder: RequestDecoder
    private let output: OutputWatch
    private let hub: Hub
    private let logger: Logger

    private var context: ChannelHandlerContext?
    private var phase = Phase.open
    private var isCounted = true
    /// The requests that are not answered yet. As many as the server reads ahead.
    private var exchanges: Deque<Exchange> = []
    private var incoming: Incoming?
    /// Whether the head of the first exchange's answer was written.
    private var isAnswering = false
    /// Whether a head was written, and nothing behind it.
    private var hasWrittenHead = false
    /// What is answered behind all exchanges, and to which request, where there is one.
    private var refusal: (problem: Problem, request: HTTPRequestHead?)?
    /// Whether nothing that comes is a request any more.
    private var isDeaf = false

    /// Whether the server shuts down.
    private var isQuiescing = false

    /// When the client must have sent what is waited for: a request, or the next stretch of its body.
    private var deadline = NIODeadline.distantFuture
    /// Looks whether it has, at the deadline or sooner.
    private var check: (task: Scheduled<Void>, time: NIODeadline)?
    /// Since when the server reads nothing, because it has enough. That time is not the client's.
    private var pauseStart: NIODeadline?

    init(
        _ bounds: ConnectionBounds, limit: ConnectionLimit, isAboveLimit: Bool, decoder: RequestDecoder,
        output: OutputWatch, hub: Hub, logger: Logger
    ) {
        self.bounds = bounds
        self.limit = limit
        self.isAboveLimit = isAboveLimit
        self.decoder = decoder
        self.output = output
        self.hub = hub
        self.logger = logger
    }

    /// Whether the request that is being answered is an HTTP/1.0 request.
    var isHTTP10: Bool { exchanges.first?.isHTTP10 ?? false }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        expect(in: isAboveLimit ? TimeAmount(ConnectionLimit.patience) : bounds.idleTimeout, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        stopTimers()
    }

    // MARK: Limits

    /// Gives the connection to a stream, which writes to it from now on and closes it.
    func beginStreaming() {
        phase = .streaming
        stopTimers()
        output.stop()
    }

    /// Counts the connection no more: it is closed, or its socket counts in its place.
    func leaveLimit() {
        guard isCounted else { return }
        isCounted = false
        limit.close(isAboveLimit ? .refused : .admitted)
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if case .end = part, incoming?.offersUpgrade == true { decoder.goOn() }
        guard !isDeaf else { return }
        switch part {
        case .head(let head):
            receive(head, context)
        case .body(let bytes):
            incoming?.received += bytes.readableBytes
            incoming?.waitsToBeAsked = false
            context.fireChannelRead(data)
        case .end:
            incoming = nil
            if exchanges.isEmpty { expect(in: bounds.idleTimeout, context) }
            if exchanges.last?.closes == true { isDeaf = true }
            context.fireChannelRead(data)
        }
    }

    private func receive(_ request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        var request = request
        do {
            try request.checkMethod()
            try request.checkSize()
            try request.settleTarget()
            try request.checkTransferCoding()
            try request.checkExpectation()
        } catch {
            return refuse(error, request, context)
        }
        let upgradeOffer = request.upgradeOffer
        let closes = isAboveLimit || request.isLast || upgradeOffer == .unclear
        exchanges.append(
            Exchange(isHTTP10: request.isHTTP10, isHead: request.method == .HEAD, closes: closes))
        incoming = Incoming(
            length: request.bodyLength, offersUpgrade: upgradeOffer == .made, waitsToBeAsked: request.waitsToBeAsked)
        if closes { request.headers.replaceOrAdd(name: "connection", value: "close") }
        context.fireChannelRead(wrapInboundOut(.head(request)))
    }

    /// Asks the client for the body of the request that is being answered, if it waits for that.
    func askForBody() {
        guard let context, incoming?.waitsToBeAsked == true, exchanges.count == 1, !isAnswering, !isDeaf else { return }
        incoming?.waitsToBeAsked = false
        let goOn = HTTPResponseHead(version: .http1_1, status: .continue)
        context.writeAndFlush(wrapOutboundOut(.head(goOn)), promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard phase == .open else { return context.fireErrorCaught(error) }
        switch error {
        case let problem as Problem:
            breakOff(problem, context)
        case HTTPParserError.closedConnection:
            // More bytes behind a request that, to the decoder, is the last.
            isDeaf = true
            guard let last = exchanges.indices.last else { return linger(context) }
            exchanges[last].closes = true
        case let error as HTTPParserError:
            breakOff(Problem(error), context)
        case is ByteToMessageDecoderError:
            // More bytes behind those that are no request.
            break
        default:
            guard incoming != nil else { return context.fireErrorCaught(error) }
            breakOff(Problem(.badRequest, "The connection broke off within the request."), context)
        }
    }

    /// Reads nothing more, because what comes cannot be read.
    private func breakOff(_ problem: Problem, _ context: ChannelHandlerContext) {
        guard !isDeaf else { return }
        guard incoming != nil else { return refuse(problem, nil, context) }
        isDeaf = true
        log(problem)
        guard let last = exchanges.indices.last else { return linger(context) }
        exchanges[last].closes = true
        context.fireErrorCaught(problem)
    }

    private func refuse(_ problem: Problem, _ request: HTTPRequestHead?, _ context: ChannelHandlerContext) {
        isDeaf = true
        log(problem)
        refusal = (problem, request)
        answerRefusal(context)
    }

    private func answerRefusal(_ context: ChannelHandlerContext) {
        guard exchanges.isEmpty, let (problem, request) = refusal else { return }
        let body = problem.document
        var headers = HTTPHeaders(problem.allHeaders.map { ($0.name.canonicalName, $0.value) })
        headers.add(name: "content-length", value: "\(body.readableBytes)")
        headers.add(name: "connection", value: "close")
        let status = HTTPResponseStatus(statusCode: problem.status.code, reasonPhrase: problem.status.reasonPhrase)
        let head = HTTPResponseHead(version: request?.version ?? .http1_1, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request?.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        context.write(wrapOutboundOut(.end(nil)), promise: nil)
        linger(context)
    }

    private func log(_ problem: Problem) {
        logger.debug(
            "A request is refused before it is read.",
            metadata: ["status": "\(problem.status.code)", "detail": "\(problem.detail)"])
    }

    // MARK: Time

    /// Has the client send what is waited for in some time.
    private func expect(in time: TimeAmount, _ context: ChannelHandlerContext) {
        deadline = context.eventLoop.now + time
        if check.map({ $0.time > deadline }) ?? true { scheduleCheck(at: deadline, context) }
    }

    private func scheduleCheck(at time: NIODeadline, _ context: ChannelHandlerContext) {
        check?.task.cancel()
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: time) {
            self.check = nil
            self.checkDeadline(context)
        }
        check = (task, time)
    }

    private func checkDeadline(_ context: ChannelHandlerContext) {
        // While the server has to answer, nothing is waited for.
        guard exchanges.isEmpty || incoming != nil else { return }
        let now = context.eventLoop.now
        if incoming != nil, pauseStart != nil { return scheduleCheck(at: now + bodyTimeout, context) }
        if now < deadline { return scheduleCheck(at: deadline, context) }
        guard let incoming else { return context.close(promise: nil) }
        if let goal = incoming.goal, incoming.received >= goal { return expectBody(context) }
        breakOff(
            Problem(.requestTimeout, "The body comes too slowly. Send it again, and faster.", field: "data"), context)
    }

    private var bodyTimeout: TimeAmount {
        isQuiescing ? min(bounds.idleTimeout, ConnectionBounds.lastTimeout) : bounds.idleTimeout
    }

    private func expectBody(_ context: ChannelHandlerContext) {
        guard let incoming else { return }
        self.incoming?.goal = incoming.received + ConnectionBounds.stretchBytes
        expect(in: bodyTimeout, context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if let incoming, incoming.goal == nil, phase == .open { expectBody(context) }
        pauseStart = context.eventLoop.now
        context.fireChannelReadComplete()
    }

    func read(context: ChannelHandlerContext) {
        if let pauseStart, incoming != nil { deadline = deadline + (context.eventLoop.now - pauseStart) }
        pauseStart = nil
        context.read()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A server that shuts down asks its connections to finish. The hub may be the last to hear of it.
        if event is ChannelShouldQuiesceEvent {
            hub.beginDrain()
            isQuiescing = true
            if phase == .open {
                if exchanges.isEmpty, incoming == nil { return context.close(promise: nil) }
                if incoming?.goal != nil { expectBody(context) }
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func stopTimers() {
        check?.task.cancel()
        check = nil
    }

    // MARK: Answers

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard phase == .open, !exchanges.isEmpty else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        hasWrittenHead = false
        switch unwrapOutboundIn(data) {
        case .head(let head) where head.isInformational:
            context.write(data, promise: promise)
        case .head(let head) where !isAnswering:
            context.write(wrapOutboundOut(.head(begin(head))), promise: promise)
        case .body where isAnswering:
            context.write(exchanges[0].dropsBody ? wrapOutboundOut(.nothing) : data, promise: promise)
        case .end where isAnswering:
            end(data, promise, context)
        case .head, .body, .end:
            logger.error("What answers a request wrote parts that are no answer; the connection is closed.")
            promise?.fail(ChannelError.operationUnsupported)
            context.close(promise: nil)
        }
    }

    private func begin(_ answer: HTTPResponseHead) -> HTTPResponseHead {
        var answer = answer
        (isAnswering, hasWrittenHead) = (true, true)
        if !(200...999).contains(answer.status.code) {
            logger.error(
                "An answer has a status that HTTP does not have.", metadata: ["status": "\(answer.status.code)"])
            let headers = HTTPHeaders([("content-length", "0")])
            answer = HTTPResponseHead(version: answer.version, status: .internalServerError, headers: headers)
            exchanges[0].dropsBody = true
        }
        if exchanges[0].isHead || answer.status == .noContent || answer.status == .notModified {
            exchanges[0].dropsBody = true
        }
        if exchanges.count == 1 {
            if isQuiescing { exchanges[0].closes = true }
            if let incoming, !isWorthReading(incoming) { exchanges[0].closes = true }
        }
        if exchanges[0].isHTTP10 { answer.version = .http1_0 }
        if exchanges[0].closes { answer.headers.replaceOrAdd(name: "connection", value: "close") }
        if exchanges[0].isHead, answer.isEventStream { answer.headers.remove(name: "content-length") }
        return answer
    }

    /// Whether the rest of a body is read although its request is answered, so that the connection can go on.
    private func isWorthReading(_ incoming: Incoming) -> Bool {
        guard !incoming.waitsToBeAsked, let length = incoming.length else { return false }
        return length - incoming.received <= ConnectionBounds.stretchBytes
    }

    private func end(_ data: NIOAny, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext) {
        isAnswering = false
        let exchange = exchanges.removeFirst()
        // The end of a chunked body would be a body.
        context.write(exchange.isHead ? wrapOutboundOut(.nothing) : data, promise: promise)
        if exchange.closes || (isQuiescing && exchanges.isEmpty) { return linger(context) }
        guard exchanges.isEmpty else { return }
        guard refusal == nil else { return answerRefusal(context) }
        // Little is left of the body, if any.
        incoming?.goal = .max
        expect(in: incoming == nil ? bounds.idleTimeout : ConnectionBounds.lingering, context)
    }

    /// What follows a head usually comes at once, and goes out with it.
    func flush(context: ChannelHandlerContext) {
        guard hasWrittenHead else { return context.flush() }
        hasWrittenHead = false
        context.eventLoop.assumeIsolated().execute { context.flush() }
    }

    // MARK: The end

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        let isGraceful =
            switch (mode, phase) {
            case (.input, _), (_, .streaming): false
            case (_, .ending), (.output, .open): true
            case (.all, .open): output.isPending(in: context.channel)
            }
        guard isGraceful else { return context.close(mode: mode, promise: promise) }
        linger(context)
        context.channel.closeFuture.cascade(to: promise)
    }

    /// Ends the connection once the client has what was written.
    private func linger(_ context: ChannelHandlerContext) {
        guard phase == .open else { return }
        phase = .ending
        isDeaf = true
        stopTimers()
        context.writeAndFlush(wrapOutboundOut(.nothing)).assumeIsolated().whenComplete { [self] _ in
            // A channel that is closed already has no place for it.
            try? self.context?.pipeline.syncOperations.addHandler(Lingering(), position: .first)
        }
    }
}

extension HTTPServerResponsePart {
    /// Writes nothing and completes its promise in its turn.
    fileprivate static var nothing: HTTPServerResponsePart { .body(.byteBuffer(ByteBuffer())) }
}

extension HTTPResponseHead {
    fileprivate var isEventStream: Bool {
        headers.first(name: "content-type")?.isExactly("text/event-stream") == true
    }

    /// Whether the answer is still to come (RFC 9110, section 15.2).
    fileprivate var isInformational: Bool { (100..<200).contains(status.code) && status != .switchingProtocols }
}
