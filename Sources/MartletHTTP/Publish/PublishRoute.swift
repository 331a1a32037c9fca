// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Logging
import Martlet
import MartletSupport
import NIOCore

/// Publishes the body of a request: to the topic that the path names, or as a batch.
struct PublishRoute<Context: EventStreamRequestContext>: PublishingRoute, DoorRoute {
    let hub: Hub
    let access: Access<Context>
    let maximumBodyBytes: Int
    let logger: Logger

    func respond(to message: Request, context: Context) async throws -> Response {
        let request = HubRequest(message, on: context.channel)
        let grant = try await access.grant(for: request, context: context, to: .publish)
        let logger = request.tracing(context.logger)
        if let topic = try request.topic {
            let fields = try EventFields(request)
            if fields.isLive { return try await live(message, request, topic, fields, grant, logger) }
            let events = fields.events(topic, data: try await text(of: message))
            for event in events { try grant.checkPublishing(event) }
            let key = try request.idempotencyKey
            let ids = try await hub.publish(events, once: key, for: request, grant, logger)
            return .text(ids[0])
        }
        try EventFields.checkNone(in: request)
        let fields = try EventFields(request)
        if fields.isLive { return try await live(message, request, nil, fields, grant, logger) }
        guard request.mediaType == "application/x-ndjson" else {
            throw Problem(
                .unsupportedMediaType,
                "Post data to /events/{topic}, or a batch to /events as application/x-ndjson.",
                field: "Content-Type")
        }
        let batch = try await text(of: message)
        let key = try request.idempotencyKey
        return try await CPUBoundWork.run(through: batch.utf8.count) {
            .text(try await publish(batch, once: key, for: request, grant, logger).joined(separator: "\n"))
        }
    }

    private func publish(
        _ batch: String, once key: String?, for request: HubRequest, _ grant: Grant, _ logger: Logger
    ) async throws -> [String] {
        var events = try await EventBatch.parse(batch, limits: hub.configuration.limits)
        if let trace = request.traceParent { for index in events.indices { events[index].traceParent = trace } }
        var pace = CPUBoundWork.Pace()
        for event in events {
            try grant.checkPublishing(event)
            let comparisons = event.topic.name.utf8.count * max(1, grant.publish.count)
            if pace.isOver(after: comparisons) { await Task.yield() }
        }
        return try await hub.publish(events, once: key, for: request, grant, logger)
    }

    func event(in request: HubRequest, body: UnsafeRawBufferPointer) throws -> Event? {
        guard let topic = try request.topic, body.count <= maximumBodyBytes else { return nil }
        let fields = try EventFields(request)
        guard !fields.isLive else { return nil }
        let events = try fields.events(topic, data: Self.text(of: body))
        return events.count == 1 ? events[0] : nil
    }

    func text(ofAnswer id: String) -> String { id + "\n" }

    var prefix: StaticString { "/events" }

    func doorRequest(for request: HubRequest, body: UnsafeRawBufferPointer, reply: DoorReply) -> (any DoorRequest)? {
        guard request.method == .post, let access = access.plain else { return nil }
        return DoorPublish(self, access, request, body: body, reply, logger)
    }

    private func text(of message: Request) async throws -> String {
        try Self.text(of: try await message.body(upTo: maximumBodyBytes).readableBytesView)
    }

    private static func text(of bytes: some Collection<UInt8>) throws(Problem) -> String {
        guard let text = String(utf8: bytes) else {
            throw Problem(.badRequest, "The body is not UTF-8. Send text, encoded as UTF-8.", field: "data")
        }
        return text
    }
}

/// The fields of an event besides its topic and its data: in the query (`?type=shipped`), or otherwise in headers
/// (`Event-Type: shipped`); and what happens to the topic (`?close=1`, `?ttl=30s`, `?expires=1h`, `Stream-Writer`).
struct EventFields {
    private(set) var id: String?
    private(set) var type: String?
    private(set) var retry: Int?
    private(set) var key: String?
    private(set) var isPrivate = false
    /// Whether the topic ends behind the event.
    private(set) var closes = false
    /// Whether the body is published while it comes.
    private(set) var isLive = false
    private var timeToLive: Duration?
    private var topicTimeToLive: Duration?
    private var writer: TopicWriter?
    private var traceParent: TraceParent?

    private static let fields = ["id", "type", "retry", "key", "private"]
    private static let names = fields + ["close", "ttl", "expires", "live"]
    private static let headers = Dictionary(uniqueKeysWithValues: fields.map { ($0, HTTPField.Name("Event-\($0)")!) })

    init(_ request: HubRequest) throws(Problem) {
        let query = try request.query
        writer = try request.streamWriter
        traceParent = request.traceParent
        let unknown = query.all.first { field in !Self.names.contains { $0.isExactly(field.name) } }
        if let unknown {
            let known = Self.names.joined(separator: ", ")
            throw Problem(.badRequest, "There is no parameter \(unknown.name), only \(known).", field: unknown.name)
        }
        // Most requests have none.
        guard !query.all.isEmpty || request.headers.contains(where: Self.isHeader) else { return }
        func value(_ name: String) throws(Problem) -> String? {
            let values = query.all.isEmpty ? [] : query.values(name)
            guard values.count <= 1 else {
                throw Problem(.badRequest, "There is more than one \(name). Send one.", field: name)
            }
            if let value = values.first { return value }
            return if let header = Self.headers[name] { try request.text(of: header) } else { nil }
        }
        closes = try value("close").map { text throws(Problem) in try Self.flag(text, "close") } ?? false
        timeToLive = try value("ttl").map { text throws(Problem) in try Self.duration(text, "ttl") }
        topicTimeToLive = try value("expires").map { text throws(Problem) in try Self.duration(text, "expires") }
        isLive = try value("live").map { text throws(Problem) in try Self.flag(text, "live") } ?? false
        id = try value("id")
        type = try value("type")
        key = try value("key")
        retry = try value("retry").map(Self.retry)
        isPrivate = try value("private").map { text throws(Problem) in try Self.flag(text, "private") } ?? false
    }

    private static func isHeader(_ field: HTTPField) -> Bool { field.name.canonicalName.startsExactly(with: "event-") }

    /// Refuses the fields of a single event on a batch, whose lines have their own.
    static func checkNone(in request: HubRequest) throws(Problem) {
        let parameter = try request.query.all.first { !$0.name.isExactly("live") }?.name
        let field = parameter ?? fields.lazy.map({ headers[$0]! }).first { request.headers.contains($0) }?.rawName
        guard let field else { return }
        throw Problem(.badRequest, "A batch has no \(field). Write the fields into its lines.", field: field)
    }

    /// The event, and the end of the topic. An end alone has no data.
    func events(_ topic: Topic, data: String) -> [Event] {
        var event = Event(topic: topic, data: data, id: id, type: type, retry: retry, key: key, isPrivate: isPrivate)
        let end = end(of: topic)
        let isEndAlone = data.isEmpty && id == nil && type == nil && retry == nil && key == nil
        if closes, isEndAlone { return [end] }
        addLife(to: &event)
        return closes ? [event, end] : [event]
    }

    /// The end of the topic.
    func end(of topic: Topic) -> Event {
        var end = Event.end(of: topic)
        end.writer = writer
        if let traceParent { end.traceParent = traceParent }
        if let topicTimeToLive { end.topicExpires = .now + topicTimeToLive }
        return end
    }

    /// Adds to an event what is said of each event of the request.
    func addLife(to event: inout Event) {
        if isPrivate { event.isPrivate = true }
        if let writer { event.writer = writer }
        if let traceParent { event.traceParent = traceParent }
        if let topicTimeToLive { event.topicExpires = .now + topicTimeToLive }
        if let timeToLive { event.expires = .now + timeToLive }
    }

    private static func retry(_ text: String) throws(Problem) -> Int {
        guard text.utf8.allSatisfy(\.isDigit), let retry = Int(text) else {
            throw Problem(
                .badRequest, "The retry is not a number of milliseconds. Write digits only, such as 3000.",
                field: "retry")
        }
        return retry
    }

    private static func flag(_ text: String, _ name: String) throws(Problem) -> Bool {
        if ["", "true", "1"].contains(where: text.isExactly) { return true }
        if ["false", "0"].contains(where: text.isExactly) { return false }
        throw Problem(.badRequest, "The field \(name) is neither true nor false. Write \(name)=true.", field: name)
    }

    private static func duration(_ text: String, _ name: String) throws(Problem) -> Duration {
        if text.utf8.last?.isDigit == false, let time = UnitScale.milliseconds.parse(text), time > 0 {
            return .milliseconds(time)
        }
        throw Problem(
            .badRequest, "The field \(name) is not a duration above zero. Write \(name)=30s (ms, s, m, h, d).",
            field: name)
    }
}
