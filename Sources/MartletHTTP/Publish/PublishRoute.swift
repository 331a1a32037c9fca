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
        if let topic = try request.topic {
            let fields = try EventFields(request)
            let event = fields.event(topic, data: try await text(of: message))
            try grant.checkPublishing(event)
            let key = try request.idempotencyKey
            let ids = try await unlessUnavailable(context.logger) {
                try await hub.publish(contentsOf: [event], once: key, in: grant.keyScope)
            }
            return .text(ids[0])
        }
        try EventFields.checkNone(in: request)
        guard request.mediaType == "application/x-ndjson" else {
            throw Problem(
                .unsupportedMediaType,
                "Post data to /events/{topic}, or a batch to /events as application/x-ndjson.",
                field: "Content-Type")
        }
        let batch = try await text(of: message)
        let key = try request.idempotencyKey
        return try await CPUBoundWork.run(through: batch.utf8.count) {
            .text(try await publish(batch, once: key, grant, context.logger).joined(separator: "\n"))
        }
    }

    private func publish(_ batch: String, once key: String?, _ grant: Grant, _ logger: Logger) async throws -> [String]
    {
        let events = try await EventBatch.parse(batch, limits: hub.configuration.limits)
        var pace = CPUBoundWork.Pace()
        for event in events {
            try grant.checkPublishing(event)
            let comparisons = event.topic.name.utf8.count * max(1, grant.publish.count)
            if pace.isOver(after: comparisons) { await Task.yield() }
        }
        return try await unlessUnavailable(logger) {
            try await hub.publish(contentsOf: events, once: key, in: grant.keyScope)
        }
    }

    func event(in request: HubRequest, body: UnsafeRawBufferPointer) throws -> Event? {
        guard let topic = try request.topic, body.count <= maximumBodyBytes else { return nil }
        return try EventFields(request).event(topic, data: Self.text(of: body))
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
/// (`Event-Type: shipped`).
private struct EventFields {
    private(set) var id: String?
    private(set) var type: String?
    private(set) var retry: Int?
    private(set) var key: String?
    private(set) var isPrivate = false

    private static let names = ["id", "type", "retry", "key", "private"]
    private static let headers = Dictionary(uniqueKeysWithValues: names.map { ($0, HTTPField.Name("Event-\($0)")!) })

    init(_ request: HubRequest) throws(Problem) {
        let query = try request.query
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
            return if let value = values.first { value } else { try request.text(of: Self.headers[name]!) }
        }
        id = try value("id")
        type = try value("type")
        key = try value("key")
        retry = try value("retry").map(Self.retry)
        isPrivate = try value("private").map(Self.flag) ?? false
    }

    private static func isHeader(_ field: HTTPField) -> Bool { field.name.canonicalName.startsExactly(with: "event-") }

    /// Refuses the fields of a single event on a batch, whose lines have their own.
    static func checkNone(in request: HubRequest) throws(Problem) {
        let parameter = try request.query.all.first?.name
        let field = parameter ?? names.lazy.map({ headers[$0]! }).first { request.headers.contains($0) }?.rawName
        guard let field else { return }
        throw Problem(.badRequest, "A batch has no \(field). Write the fields into its lines.", field: field)
    }

    func event(_ topic: Topic, data: String) -> Event {
        Event(topic: topic, data: data, id: id, type: type, retry: retry, key: key, isPrivate: isPrivate)
    }

    private static func retry(_ text: String) throws(Problem) -> Int {
        guard text.utf8.allSatisfy(\.isDigit), let retry = Int(text) else {
            throw Problem(
                .badRequest, "The retry is not a number of milliseconds. Write digits only, such as 3000.",
                field: "retry")
        }
        return retry
    }

    private static func flag(_ text: String) throws(Problem) -> Bool {
        if ["", "true", "1"].contains(where: text.isExactly) { return true }
        if ["false", "0"].contains(where: text.isExactly) { return false }
        throw Problem(.badRequest, "Private is neither true nor false. Write private=true.", field: "private")
    }
}
