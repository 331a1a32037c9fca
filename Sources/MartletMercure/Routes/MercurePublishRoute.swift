// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet
import MartletHTTP
import NIOCore

/// Publishes a form, and answers with the id of the event.
struct MercurePublishRoute<Context: EventStreamRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>
    let maximumBodyBytes: Int

    func respond(to message: Request, context: Context) async throws -> Response {
        let request = HubRequest(message, on: context.channel)
        let grant = try await access.mercureGrant(for: request, context: context, to: .publish)
        let event = try await event(in: message, request)
        do {
            try grant.checkPublishing(to: event.topics)
        } catch {
            throw error.unauthorized
        }
        let key = try request.idempotencyKey
        let ids = try await unlessUnavailable(context.logger) {
            try await hub.publish(contentsOf: [event], once: key, in: grant.keyScope)
        }
        return Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: ids[0])))
    }

    private func event(in message: Request, _ request: HubRequest) async throws -> Event {
        guard [nil, "application/x-www-form-urlencoded"].contains(request.mediaType) else {
            throw Problem(
                .unsupportedMediaType, "Post a form: application/x-www-form-urlencoded.", field: "Content-Type")
        }
        let body = try await message.body(upTo: maximumBodyBytes)
        let limits = hub.configuration.limits
        return try await CPUBoundWork.run(through: body.readableBytes) {
            let fields = try FormFields(
                body.readableBytesView, maximumCount: limits.topicsPerEvent + PublishForm.otherFields)
            return try PublishForm.event(of: fields, limits: limits)
        }
    }
}
