// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
public import Martlet
import MartletSupport

extension RouterMethods where Context: EventStreamRequestContext {
    /// Adds the routes of a hub.
    ///
    /// - `GET /events/{topic…}` subscribes to the topic that the path names; `?topic=` adds more topics. The stream starts
    ///   after the event of `Last-Event-ID` or `?lastEventID=`, or otherwise at the time of `?since=`, or otherwise now.
    /// - `POST /events/{topic…}` publishes the body to that topic.
    /// - `POST /events` publishes a batch, one JSON object a line (`application/x-ndjson`).
    /// - With `?live=1` both publish each event while the body comes, until it ends. `PUT`, which some clients send with a body
    ///   of unknown length, does the same.
    ///
    /// - `GET /history/{topic…}` reads history without a stream, one JSON object a line.
    /// - `DELETE /history/{topic…}` removes the history of that topic, for clients that may publish to it.
    /// - `GET /state/{topic…}` answers with the current value of each key as one JSON document.
    /// - `POST /streams/{name}/topics` adds topics to an open stream, and removes some: `add=…&remove=…`, as a form or in
    ///   the query. The first event of a stream with `?control=1` says its name.
    ///
    /// A publish with an `Idempotency-Key` takes effect once, however often the same principal sends it. Any other method is
    /// answered with 405. Build the server with `HTTPServerBuilder.eventStreams(of:)`.
    ///
    /// - Parameters:
    ///   - hub: The hub, which must run as a service of the application or around it.
    ///   - access: Decides what a client may do; by default ``Access/local``.
    ///   - maximumBodyBytes: The largest body of a publish or a batch, in bytes.
    ///   - frontDoor: Answers plain requests to the routes in place of the router.
    ///   - exchange: Has other nodes change the topics of their streams; `nil`: there are none.
    @discardableResult
    public func addHub(
        _ hub: Hub, access: Access<Context> = .local, maximumBodyBytes: Int = 1024 * 1024, frontDoor: FrontDoor? = nil,
        exchange: RightsExchange? = nil
    ) -> Self {
        let subscribe = SubscribeRoute<Context>(hub: hub, access: access)
        let publish = PublishRoute<Context>(
            hub: hub, access: access, maximumBodyBytes: maximumBodyBytes, logger: hub.logger)
        frontDoor?.add(subscribe)
        frontDoor?.add(publish)
        for path: RouterPath in ["events", "events/**"] {
            on(
                path,
                answering: [
                    .get: subscribe.respond, .head: subscribe.respond, .post: publish.respond, .put: publish.put,
                ],
                streaming: [.get, .head])
        }
        let (history, state) = (HistoryRoute(hub: hub, access: access), StateRoute(hub: hub, access: access))
        for path: RouterPath in ["history", "history/**"] {
            on(path, answering: [.get: history.read, .delete: history.remove])
        }
        for path: RouterPath in ["state", "state/**"] {
            on(path, answering: [.get: state.respond])
        }
        on(
            "streams/{name}/topics",
            answering: [.post: StreamTopics(hub: hub, access: access, exchange: exchange).respond])
        return self
    }
}

extension HubRequest {
    /// The topic that the path names after `/events/`, decoded once and not normalised: `a//b` is not `a/b`, and `a%2Fb` is
    /// `a/b`. `nil` for `/events` itself.
    var topic: Topic? {
        get throws { try topic(behind: "/events") }
    }

    /// The topic that the path names behind a root such as `/events`; see ``topic``.
    func topic(behind root: String) throws -> Topic? {
        guard !path.isExactly(root) else { return nil }
        // A router may have dropped empty segments before; the topic begins where the client began it.
        guard let topic = path.cutting(prefix: root + "/") else {
            throw Problem(.badRequest, "The path is not \(root)/{topic}.", field: "topic")
        }
        return try Topic(try FormFields.decode(topic.utf8, field: "topic"))
    }

    /// The topics that the path names behind a root, and the query.
    func topicSelectors(behind root: String) throws -> Set<TopicSelector> {
        var topics: Set<TopicSelector> = []
        if let topic = try topic(behind: root) { topics.insert(TopicSelector(topic)) }
        for value in try query.values("topic") { topics.insert(TopicSelector(try Topic(value))) }
        return topics
    }
}

extension RouterMethods {
    /// Adds `/health/live`, which tells whether the process answers, and `/health/ready`, which tells whether it can serve
    /// clients.
    @discardableResult
    public func addHealth(of hub: Hub) -> Self {
        on("health/live", answering: [.get: { _, _ in .text("alive") }])
        on(
            "health/ready",
            answering: [
                .get: { _, _ in
                    guard hub.isReady else {
                        let reason = hub.log.fault?.message ?? "The hub is starting or stopping."
                        throw Problem(.serviceUnavailable, reason)
                    }
                    return .text("ready")
                }
            ])
        return self
    }

    /// Adds `/metrics`: the metrics of a backend, in its own format.
    @discardableResult
    public func addMetrics(as contentType: String, _ text: @escaping @Sendable () -> String) -> Self {
        on(
            "metrics",
            answering: [
                .get: { _, _ in
                    Response(
                        status: .ok, headers: [.contentType: contentType, .cacheControl: "no-store"],
                        body: ResponseBody(byteBuffer: ByteBuffer(string: text())))
                }
            ])
        return self
    }
}

extension RouterMethods {
    package typealias Handler = @Sendable (Request, Context) async throws -> Response

    /// Answers some methods of a path and OPTIONS, and every other method with 405 and the allowed ones. HEAD is answered
    /// like GET unless it has a handler. Every answer has `X-Content-Type-Options: nosniff`.
    ///
    /// - Parameter streams: The methods that answer with event streams. Above the limit of connections, they tell clients to
    ///   come back, and the other methods are refused.
    package func on(
        _ path: RouterPath, answering handlers: [HTTPRequest.Method: Handler],
        streaming streams: Set<HTTPRequest.Method> = []
    ) {
        var handlers = handlers
        if let get = handlers[.get], handlers[.head] == nil {
            handlers[.head] = { request, context in try await get(request, context).createHeadResponse() }
        }
        let allowed = (handlers.keys.map(\.rawValue) + ["OPTIONS"]).sorted().joined(separator: ", ")
        handlers[.options] = { _, _ in Response(status: .noContent, headers: [.allow: allowed]) }
        for method in HTTPRequest.Method.known {
            let isRefusable = method != .options && !streams.contains(method)
            on(path, method: method) { [handler = handlers[method]] request, context in
                if isRefusable { try Connection.checkLimit() }
                guard var response = try await handler?(request, context) else {
                    throw Problem(
                        .methodNotAllowed, "\(request.method.rawValue) is not possible here, only \(allowed).",
                        headers: [.allow: allowed])
                }
                response.headers[.xContentTypeOptions] = "nosniff"
                return response
            }
        }
    }
}

extension HTTPRequest.Method {
    static let known: [Self] = [.get, .head, .post, .put, .patch, .delete, .options, .trace, .connect]
}

extension Response {
    package static func text(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text + "\n")))
    }
}
