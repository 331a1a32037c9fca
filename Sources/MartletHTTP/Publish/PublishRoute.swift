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
        let events: [Event]
        if let topic = try target.topic {
            events = [try await event(to: topic, target, request)]
        } else {
            guard request.mediaType == "application/x-ndjson" else {
                throw Problem(
                    .unsupportedMediaType,
                    "Post data to /events/{topic}, or a batch to /events as application/x-ndjson.",
                    field: "Content-Type")
            }
            events = try EventBatch.parse(try await body(of: request), limits: hub.configuration.limits)
        }
        try grant.checkPublishing(to: events.lazy.flatMap(\.topics))
        let ids = try await hub.publish(contentsOf: events, once: try request.idempotencyKey, in: grant.keyScope)
        return .text(ids.joined(separator: "\n"))
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
