// SPDX-License-Identifier: Apache-2.0

import EventStream
package import HTTPTypes
package import Hummingbird
import Logging
package import Martlet
import MartletSupport
import NIOCore
import NIOHTTP1

/// Follows the life of one stream: it is released when the stream has ended, or has turned out not to begin.
package protocol StreamCompanion: AnyObject, Sendable {
    /// Called once, when the hub has the subscription and is about to write the stream.
    func streamBegins()
}

extension Hub {
    /// Answers a request with a stream of the hub. All routes that stream events of a hub answer through this method. It
    /// checks the rights and the limits of the client, finds out where the stream starts, and tells the client to come back
    /// later if it has too many streams, the log is away or the hub drains.
    ///
    /// HEAD receives the head of the stream, or the error that would have prevented it.
    ///
    /// - Parameter select: Says what the client receives. An error that it throws is the answer.
    package func respond(
        to request: HubRequest, context: some EventStreamRequestContext, with select: () async throws -> HubStream
    ) async throws -> Response {
        do {
            let stream = try await select()
            let (subscription, first) = try await subscribe(to: stream, for: request, context.logger)
            if try first == nil && subscription.hasNothing(for: request) { return .nothingMore(subscription) }
            let headers = HTTPFields.eventStream(to: request, stream.grant) + HTTPFields.start(of: subscription)
            if request.method == .head { return Response(status: .ok, headers: headers) }
            if sendsAway { return .comeBack(after: retry(), headers: headers) }
            stream.companion?.streamBegins()
            return try subscription.response(
                on: context.channel, headers: headers,
                first: [stream.control.map { .control($0) }, first].compactMap { $0 })
        } catch let error as MartletError where request.method != .head && Self.passingErrors.contains(error.code) {
            return .comeBack(after: retry())
        } catch let refusal as ClientRefusal {
            clientRefused(refusal)
            return .comeBack(after: retry())
        }
    }

    /// The subscription at once; `nil` if it has to wait.
    func subscribeNow(to stream: HubStream, for request: HubRequest) throws -> Subscription? {
        guard stream.state == nil, stream.control == nil else { return nil }
        try stream.grant.checkSubscribing(to: stream.topics)
        return try subscribeNow(
            to: Selection(selectors: stream.topics, grants: stream.grant.subscribe),
            after: try request.lastEventID?.id, since: try request.since, withValues: stream.beginsWithValues,
            profile: stream.profile,
            terms: try terms(of: stream.grant, for: request, companion: stream.companion),
            client: client(of: request))
    }

    /// - Returns: the subscription, and an event that the client receives before all others.
    func subscribe(
        to stream: HubStream, for request: HubRequest, _ logger: Logger
    ) async throws -> (Subscription, first: ServerSentEvent?) {
        try stream.grant.checkSubscribing(to: stream.topics)
        let selection = Selection(selectors: stream.topics, grants: stream.grant.subscribe)
        let (id, since) = (try request.lastEventID?.id, try request.since)
        var terms = try terms(of: stream.grant, for: request, companion: stream.companion)
        terms.control = stream.control
        let ownTerms = terms
        func subscription(after id: String?, since age: Duration?) async throws -> Subscription {
            try await unlessUnavailable(logger) {
                try await subscribe(
                    to: selection, after: id, since: age, withValues: stream.beginsWithValues,
                    profile: stream.profile, terms: ownTerms, client: client(of: request))
            }
        }
        guard let state = stream.state else { return (try await subscription(after: id, since: since), nil) }
        if let id, try await isInHistory(id, selection) { return (try await subscription(after: id, since: nil), nil) }
        let (current, position) = try await state()
        return (try await subscription(after: position.text, since: nil), current)
    }

    /// The client of a stream, for the report of its end; `nil` if the ends of streams are not reported.
    private func client(of request: HubRequest) -> StreamClient? {
        guard reportsStreams else { return nil }
        return StreamClient(
            address: request.remoteAddress?.ipAddress, requestID: request.requestID, trace: request.traceParent)
    }

    /// Whether a stream can go on after an event without a gap.
    private func isInHistory(_ id: String, _ selection: Selection) async throws -> Bool {
        try await waitUntilRunning()
        return try await log.resolve(id, for: selection).gap == nil
    }

    /// Whether the client of the current task has to come back later.
    private var sendsAway: Bool { isDraining || Connection.isAboveLimit }

    /// Errors that pass. Any status but 200 would end an `EventSource` for good.
    private static let passingErrors: Set<MartletError.Code> = [.notRunning, .overloaded, .storageFailed]
}

extension Response {
    /// Tells a client that all topics have ended and that it has everything, so that it does not come back.
    static func nothingMore(_ subscription: Subscription) -> Response {
        var headers: HTTPFields = [.cacheControl: "no-store"]
        if let gap = subscription.gap { headers[.gap] = gap.reason.rawValue }
        headers[.end] = subscription.ended.header
        return Response(status: .noContent, headers: headers)
    }

    /// An event stream that only says when to come back.
    static func comeBack(after retry: Duration, headers: HTTPFields = .eventStream) -> Response {
        let opening = WireBytes.opening(after: nil, retry: retry)
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: opening.plain))
    }
}

// MARK: - The head

extension HTTPField.Name {
    /// Why the stream does not have all that the client missed; see ``/Martlet/Gap``.
    package static let gap = HTTPField.Name("Martlet-Gap")!
    /// Whether topics had ended; see ``EndedTopics/header``.
    package static let end = HTTPField.Name("Martlet-End")!
    /// Tells nginx to pass on bytes at once, whatever its configuration is.
    fileprivate static let accelBuffering = HTTPField.Name("X-Accel-Buffering")!
}

extension HTTPFields {
    /// The head of every event stream. It has no `Connection: keep-alive`: HTTP/1.1 does not need it, and HTTP/2 forbids it.
    static let eventStream: HTTPFields = [
        .contentType: "text/event-stream",
        .cacheControl: "no-cache, no-transform",
        .accelBuffering: "no",
        .xContentTypeOptions: "nosniff",
    ]

    /// The same, for a stream that is for one client only: no cache may keep it.
    static let personalEventStream: HTTPFields = {
        var fields = eventStream
        fields[.cacheControl] = "private, no-cache, no-store, no-transform"
        return fields
    }()

    /// The head of the stream that answers a request.
    static func eventStream(to request: HubRequest, _ grant: Grant = Grant(seesAllPublic: true)) -> HTTPFields {
        grant.isPersonal(for: request) ? personalEventStream : eventStream
    }

    /// What the head of a stream says about where it starts. These fields come last.
    static func start(of subscription: Subscription) -> HTTPFields {
        var fields: HTTPFields = [.lastEventID: subscription.position.text]
        if let gap = subscription.gap { fields.append(HTTPField(name: .gap, value: gap.reason.rawValue)) }
        if let end = subscription.ended.header { fields.append(HTTPField(name: .end, value: end)) }
        return fields
    }
}

extension Grant {
    /// Whether the stream that answers a request is for one client only.
    func isPersonal(for request: HubRequest) -> Bool { isPersonal || request.hasCredentials }
}

extension EndedTopics {
    /// `closed`: all topics of the selection have ended. `some; topics="chat%2F1 chat%2F2"`: these topics have ended,
    /// percent-encoded, as many as fit. `nil`: none has, among those that the selection names.
    package var header: String? {
        guard !topics.isEmpty else { return nil }
        guard !areAll else { return "closed" }
        var names = ""
        for topic in topics.map(\.name.percentEncoded).sorted() {
            guard names.utf8.count + topic.utf8.count < Self.mostHeaderBytes else { break }
            names += names.isEmpty ? topic : " \(topic)"
        }
        return "some; topics=\"\(names)\""
    }

    private static var mostHeaderBytes: Int { 2048 }
}

// MARK: - The body

extension Subscription {
    /// - Parameters:
    ///   - channel: The connection of the request. It belongs to the subscription from the first bytes on: no other request
    ///     on it is answered.
    ///   - first: What the client receives before all other events.
    fileprivate func response(
        on channel: any Channel, headers: HTTPFields, first: [ServerSentEvent]
    ) throws -> Response {
        let opening = try opening(retry: fanOut.retry()) + first.map { try WireBytes($0) }
        return Response(
            status: .ok, headers: headers,
            // The head is written when this is called, so what is written to the channel follows it.
            body: ResponseBody { _ in
                let isHandedOff = try await channel.eventLoop.perform { try self.write(opening, to: channel) }
                // Returning would let the server answer a request that the client had sent behind this one.
                guard !isHandedOff else { throw StreamEnded() }
                try await withTaskCancellationHandler {
                    try await channel.closeFuture.get()
                } onCancel: {
                    channel.close(promise: nil)
                }
                throw StreamEnded()
            })
    }

    /// Returns whether the stream goes on without the channel.
    private func write(_ opening: [WireBytes], to channel: any Channel) throws -> Bool {
        let pipeline = channel.pipeline.syncOperations
        guard let encoder = try? pipeline.handler(type: HTTPResponseEncoder.self) else {
            return try stream(opening, to: channel, before: try channel.addBodyEncoder(), framing: .plain)
        }
        guard let connection = try? pipeline.handler(type: ConnectionHandler.self) else {
            return try stream(opening, to: channel, before: encoder, framing: .chunked)
        }
        connection.beginStreaming()
        return try stream(
            opening, to: channel, before: encoder, framing: connection.isHTTP10 ? .plain : .chunked,
            handOff: connection.leaveLimit)
    }

    /// Whether the client is told not to come back: it has everything, or has come too late for a plain stream.
    func hasNothing(for request: HubRequest) throws(Problem) -> Bool {
        guard isOver, profile != .plain else { return isOver }
        return try request.lastEventID != nil
    }

    func opening(retry: Duration) -> [WireBytes] {
        // The gap is in the head.
        guard profile != .plain else { return [.opening(after: nil, retry: retry)] }
        // A client that is cut off among the values begins again.
        if beginsWithValues {
            return [.opening(after: nil, retry: retry)] + (gap.map { [.gapBeforeValues($0)] } ?? [])
        }
        guard let gap else { return [.opening(after: position, retry: retry)] }
        return [.opening(after: nil, retry: retry), .gap(gap)]
    }
}

/// Ends the task of a response whose stream was written to its end, or goes on without the task. It is no failure.
private struct StreamEnded: Error {}

extension EventLoop {
    /// Runs a closure on the event loop; at once if the caller runs there already.
    fileprivate func perform<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        inEventLoop ? try body() : try await submit(body).get()
    }
}
