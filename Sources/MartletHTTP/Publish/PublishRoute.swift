// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet
import NIOCore

/// Publishes the body of a request: to the topic that the path names, or as a batch.
struct PublishRoute<Context: ChannelRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>
    let maximumBodyBytes: Int

    func respond(to request: Request, context: Context) async throws -> Response {
        let grant = try await access.grant(for: request, context: context, to: .publish)
        let target = RequestTarget(request)
        if let topic = try target.topic {
            let event = try await event(to: topic, target, request)
            try grant.checkPublishing(to: event.topics)
            let ids = try await hub.publish(contentsOf: [event], once: try request.idempotencyKey, in: grant.keyScope)
            return .text(ids[0])
        }
        guard request.mediaType == "application/x-ndjson" else {
            throw Problem(
                .unsupportedMediaType,
                "Post data to /events/{topic}, or a batch to /events as application/x-ndjson.",
                field: "Content-Type")
        }
        let batch = try await body(of: request)
        let key = try request.idempotencyKey
        return try await LongWork.run(through: batch.utf8.count) {
            .text(try await publish(batch, once: key, grant).joined(separator: "\n"))
        }
    }

    private func publish(_ batch: String, once key: String?, _ grant: Grant) async throws -> [String] {
        let events = try await EventBatch.parse(batch, limits: hub.configuration.limits)
        var pace = LongWork.Pace()
        for event in events {
            try grant.checkPublishing(to: event.topics)
            await pace.take(event.topic.name.utf8.count * max(1, grant.publish.count))
        }
        return try await hub.publish(contentsOf: events, once: key, in: grant.keyScope)
    }

    private func event(to topic: Topic, _ target: RequestTarget, _ request: Request) async throws -> Event {
        let fields = try EventFields(query: try target.query, headers: request.headers)
        return Event(
            topic: topic, data: try await body(of: request), id: fields.id, type: fields.type, retry: fields.retry,
            key: fields.key, isPrivate: fields.isPrivate)
    }

    private func body(of request: Request) async throws -> String {
        let bytes = try await request.body(upTo: maximumBodyBytes)
        guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
            throw Problem(.badRequest, "The body is not UTF-8. Send text, encoded as UTF-8.", field: "data")
        }
        return text
    }
}
