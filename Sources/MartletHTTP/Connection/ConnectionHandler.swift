// SPDX-License-Identifier: Apache-2.0

import DequeModule
import HTTPTypes
import Logging
import Martlet
import MartletSupport
import NIOCore
import NIOHTTP1

/// Keeps the order of requests and answers on a connection, and decides when the connection ends. It sees requests while
/// their HTTP version is known.
///
/// - HTTP/1.0 (the default of nginx for its backends) is answered as HTTP/1.0: without a transfer coding, and the end of the
///   connection is the end of the body (RFC 9112, section 6.3).
/// - The answer to HEAD has no body, and no length if it is a stream (RFC 9110, section 9.3.2).
/// - A client that sends `Expect: 100-continue` is asked for the body when the body is first read, and not if the request is
///   refused before (RFC 9110, section 10.1.1). `Connection: close` is recognised in any spelling.
/// - A head is sent together with the bytes that are written in the same turn of the event loop.
/// - Bytes that are no acceptable request are refused with a problem document, behind the answers to earlier requests. It is
///   the last answer on the connection. If only the body is at fault, the handler that reads it gets the ``Problem``, and
///   answers with it.
/// - A body must arrive at a pace: see ``ConnectionBounds``. That of a live upload may pause. Little of a body is read after
///   its answer. Chunks that arrive together are given to the server together.
/// - The connection ends with a ``LingeringClose`` after the last answer. A stream takes the connection over.
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
        /// Whether the body of the answer is dropped.
        var dropsBody = false
    }

    /// The request whose end has not arrived yet.
    private struct Incoming {
        /// The length of its body; `nil` if the chunks tell it.
        let length: Int?
        let offersUpgrade: Bool
        /// Whether the client still waits to be asked for the body.
        var waitsToBeAsked: Bool
        var received = 0
        /// The bytes that must have arrived at the deadline; `nil`: there is none yet.
        var goal: Int?
        /// Whether the body need not keep a pace: each byte starts the time anew.
        var mayPause = false
    }

    private enum Phase {
        case open
        /// A stream has the connection, and ends it.
        case streaming
        /// The last answer is written.
        case ending
    }

    private let bounds: ConnectionBounds
    private let limit: ConnectionLimit
    private let origin: ConnectionOrigin
    private let decoder: RequestDecoder
    private let output: OutputWatch
    private let hub: Hub
    /// For the answers that no middleware sees.
    private let crossOrigin: CrossOriginRules?
    private let logger: Logger

    private var context: ChannelHandlerContext?
    private var phase = Phase.open
    private var isCounted = true
    /// The requests that are not answered yet. The server reads a bounded number ahead.
    private var exchanges: Deque<Exchange> = []
    private var incoming: Incoming?
    /// Chunks of its body that arrived together and were not given to the server yet.
    private var chunks: ByteBuffer?
    /// Whether the head of the first exchange's answer was written.
    private var isAnswering = false
    /// Whether a head was written, and no byte after it.
    private var hasWrittenHead = false
    /// The last answer, which follows all exchanges, and its request, if there is one.
    private var refusal: (problem: Problem, request: HTTPRequestHead?)?
    /// Whether all further input is dropped.
    private var dropsInput = false

    /// Whether the server shuts down.
    private var isQuiescing = false

    /// When the client must have sent a request, or the next stretch of its body.
    private var deadline = NIODeadline.distantFuture
    /// Checks that, at the deadline or sooner.
    private var check: (task: Scheduled<Void>, time: NIODeadline)?
    /// Since when the server does not read. This time does not count for the client.
    private var pauseStart: NIODeadline?

    init(
        _ bounds: ConnectionBounds, limit: ConnectionLimit, origin: ConnectionOrigin, decoder: RequestDecoder,
        output: OutputWatch, hub: Hub, crossOrigin: CrossOriginRules?, logger: Logger
    ) {
        self.bounds = bounds
        self.limit = limit
        self.origin = origin
        self.decoder = decoder
        self.output = output
        self.hub = hub
        self.crossOrigin = crossOrigin
        self.logger = logger
    }

    /// Whether the request that is being answered is an HTTP/1.0 request.
    var isHTTP10: Bool { exchanges.first?.isHTTP10 ?? false }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if origin.isAboveLimit { expectRefusal() } else { expect(in: bounds.idleTimeout, context) }
    }

    /// Gives the client only a moment for the request that will be refused.
    func expectRefusal() {
        if let context { expect(in: TimeAmount(ConnectionLimit.patience), context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        stopTimers()
    }

    // MARK: Limits

    /// Hands the connection to a stream, which writes to it from now on and closes it.
    func beginStreaming() {
        phase = .streaming
        stopTimers()
        output.stop()
    }

    /// Stops counting the connection: it is closed, or its socket counts instead.
    func leaveLimit() {
        guard isCounted else { return }
        isCounted = false
        limit.close(origin.admission)
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        if case .end = part, incoming?.offersUpgrade == true { decoder.goOn() }
        guard !dropsInput else { return }
        switch part {
        case .head(let head):
            receive(head, context)
        case .body(let bytes):
            incoming?.received += bytes.readableBytes
            incoming?.waitsToBeAsked = false
            if incoming?.mayPause == true, !isQuiescing { deadline = context.eventLoop.now + bounds.uploadTimeout }
            guard incoming?.length == nil else { return context.fireChannelRead(data) }
            add(bytes, context)
        case .end:
            giveChunks(context)
            incoming = nil
            if exchanges.isEmpty { expect(in: bounds.idleTimeout, context) }
            if exchanges.last?.closes == true { dropsInput = true }
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
        let closes = origin.isAboveLimit || request.isLast || upgradeOffer == .unclear
        exchanges.append(
            Exchange(isHTTP10: request.isHTTP10, isHead: request.method == .HEAD, closes: closes))
        incoming = Incoming(
            length: request.bodyLength, offersUpgrade: upgradeOffer == .made, waitsToBeAsked: request.waitsToBeAsked)
        if closes { request.headers.replaceOrAdd(name: "connection", value: "close") }
        context.fireChannelRead(wrapInboundOut(.head(request)))
    }

    private func add(_ chunk: ByteBuffer, _ context: ChannelHandlerContext) {
        if chunks == nil { chunks = chunk } else { chunks?.writeImmutableBuffer(chunk) }
        if let chunks, chunks.readableBytes >= ConnectionBounds.stretchBytes { giveChunks(context) }
    }

    private func giveChunks(_ context: ChannelHandlerContext) {
        guard let chunks else { return }
        self.chunks = nil
        context.fireChannelRead(wrapInboundOut(.body(chunks)))
    }

    /// Lets the client pause inside the body of the request that is being answered.
    func allowPauses() {
        guard let context, incoming != nil, exchanges.count == 1, !dropsInput, phase == .open else { return }
        incoming?.mayPause = true
        expectBody(context)
    }

    /// Asks the client for the body of the request that is being answered, if it waits for that.
    func askForBody() {
        guard let context, incoming?.waitsToBeAsked == true, exchanges.count == 1, !isAnswering, !dropsInput else {
            return
        }
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
            // Bytes behind a request that the decoder takes for the last.
            dropsInput = true
            guard let last = exchanges.indices.last else { return linger(context) }
            exchanges[last].closes = true
        case let error as HTTPParserError:
            breakOff(Problem(error), context)
        case is ByteToMessageDecoderError:
            // Bytes behind others that are no request.
            break
        default:
            guard incoming != nil else { return context.fireErrorCaught(error) }
            breakOff(Problem(.badRequest, "The connection ended inside the request."), context)
        }
    }

    /// Stops reading, because the input cannot be parsed.
    private func breakOff(_ problem: Problem, _ context: ChannelHandlerContext) {
        guard !dropsInput else { return }
        guard incoming != nil else { return refuse(problem, nil, context) }
        dropsInput = true
        log(problem)
        guard let last = exchanges.indices.last else { return linger(context) }
        exchanges[last].closes = true
        giveChunks(context)
        context.fireErrorCaught(problem)
    }

    private func refuse(_ problem: Problem, _ request: HTTPRequestHead?, _ context: ChannelHandlerContext) {
        dropsInput = true
        log(problem)
        hub.countRefusal(problem)
        refusal = (problem, request)
        answerRefusal(context)
    }

    private func answerRefusal(_ context: ChannelHandlerContext) {
        guard exchanges.isEmpty, let (problem, request) = refusal else { return }
        let body = problem.document
        let fields = problem.allHeaders + (crossOrigin?.headers(for: request?.headers.first(name: "origin")) ?? [:])
        var headers = HTTPHeaders(fields.map { ($0.name.canonicalName, $0.value) })
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

    /// Starts the time in which the client must send a request, or the next stretch of its body.
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
        // The client may wait for its answers.
        guard exchanges.isEmpty || incoming != nil else { return }
        let now = context.eventLoop.now
        if incoming != nil, pauseStart != nil { return scheduleCheck(at: now + bodyTimeout, context) }
        if now < deadline { return scheduleCheck(at: deadline, context) }
        guard let incoming else { return context.close(promise: nil) }
        if let goal = incoming.goal, incoming.received >= goal { return expectBody(context) }
        breakOff(incoming.mayPause ? .uploadOver(isStopping: isQuiescing) : .tooSlow, context)
    }

    private var bodyTimeout: TimeAmount {
        let timeout = incoming?.mayPause == true ? bounds.uploadTimeout : bounds.idleTimeout
        return isQuiescing ? min(timeout, ConnectionBounds.lastTimeout) : timeout
    }

    private func expectBody(_ context: ChannelHandlerContext) {
        guard let incoming else { return }
        self.incoming?.goal = incoming.mayPause ? .max : incoming.received + ConnectionBounds.stretchBytes
        expect(in: bodyTimeout, context)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        giveChunks(context)
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
        // A server that shuts down asks its connections to finish, perhaps before the hub learns of it.
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
            logger.error("A handler wrote parts that are no answer. The connection is closed.")
            promise?.fail(ChannelError.operationUnsupported)
            context.close(promise: nil)
        }
    }

    private func begin(_ answer: HTTPResponseHead) -> HTTPResponseHead {
        var answer = answer
        (isAnswering, hasWrittenHead) = (true, true)
        if !(200...999).contains(answer.status.code) {
            logger.error(
                "The status of an answer is not valid in HTTP. The client gets 500.",
                metadata: ["status": "\(answer.status.code)"])
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
        // The connection ends with a stream, as clients that keep connections have to know.
        if answer.isEventStream, !exchanges[0].isHead, !answer.headers.contains(name: "content-length") {
            exchanges[0].closes = true
        }
        if exchanges[0].isHTTP10 { answer.version = .http1_0 }
        if exchanges[0].closes { answer.headers.replaceOrAdd(name: "connection", value: "close") }
        if exchanges[0].isHead, answer.isEventStream { answer.headers.remove(name: "content-length") }
        return answer
    }

    /// Whether to read the rest of a body after its answer, so that the connection can go on.
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
        // At most a little of the body is left.
        incoming?.goal = .max
        expect(in: incoming == nil ? bounds.idleTimeout : ConnectionBounds.lingering, context)
    }

    /// The bytes behind a head usually follow at once, and are sent with it.
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

    /// Ends the connection after the written bytes.
    private func linger(_ context: ChannelHandlerContext) {
        guard phase == .open else { return }
        phase = .ending
        dropsInput = true
        stopTimers()
        context.writeAndFlush(wrapOutboundOut(.nothing)).assumeIsolated().whenComplete { [self] _ in
            // The channel may be closed already.
            try? self.context?.pipeline.syncOperations.addHandler(LingeringClose(), position: .first)
        }
    }
}

extension Problem {
    fileprivate static let tooSlow = Problem(
        .requestTimeout, "The body comes too slowly. Send it again, and faster.", field: "data")

    /// - Parameter isStopping: Whether the server shuts down.
    static func uploadOver(isStopping: Bool) -> Problem {
        if isStopping {
            return Problem(
                .serviceUnavailable,
                "The server is about to stop. Send the rest again, or all with the same Idempotency-Key.",
                headers: [.retryAfter: "1"])
        }
        return Problem(
            .requestTimeout, "The upload was silent for too long. Send a comment or a blank line now and then.",
            field: "data")
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

    /// Whether the answer is still to follow (RFC 9110, section 15.2).
    fileprivate var isInformational: Bool { (100..<200).contains(status.code) && status != .switchingProtocols }
}
