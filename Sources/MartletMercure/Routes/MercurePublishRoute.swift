// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Logging
import Martlet
import MartletHTTP
import MartletSupport
import NIOCore

/// Publishes a form, and answers with the id of the event.
struct MercurePublishRoute<Context: EventStreamRequestContext>: PublishingRoute, DoorRoute {
    let hub: Hub
    let access: Access<Context>
    let maximumBodyBytes: Int
    let logger: Logger

    func respond(to message: Request, context: Context) async throws -> Response {
        let request = HubRequest(message, on: context.channel)
        let grant = try await access.mercureGrant(for: request, context: context, to: .publish)
        let event = try await event(in: message, request)
        do {
            try grant.checkPublishing(event)
        } catch {
            throw error.unauthorized
        }
        let key = try request.idempotencyKey
        let ids = try await hub.publish([event], once: key, for: request, grant, request.tracing(context.logger))
        return Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: ids[0])))
    }

    func event(in request: HubRequest, body: UnsafeRawBufferPointer) throws -> Event? {
        guard body.count <= min(maximumBodyBytes, CPUBoundWork.briefBytes) else { return nil }
        try checkMediaType(of: request)
        return try event(in: body, of: request)
    }

    func text(ofAnswer id: String) -> String { id }

    var prefix: StaticString { "/.well-known/mercure" }

    func doorRequest(for request: HubRequest, body: UnsafeRawBufferPointer, reply: DoorReply) -> (any DoorRequest)? {
        guard request.method == .post, request.path.isExactly("/.well-known/mercure"), let access = access.plain else {
            return nil
        }
        return DoorPublish(self, access, request, body: body, reply, logger)
    }

    private func event(in message: Request, _ request: HubRequest) async throws -> Event {
        try checkMediaType(of: request)
        let body = try await message.body(upTo: maximumBodyBytes)
        return try await CPUBoundWork.run(through: body.readableBytes) {
            try event(in: body.readableBytesView, of: request)
        }
    }

    private func checkMediaType(of request: HubRequest) throws(Problem) {
        guard [nil, "application/x-www-form-urlencoded"].contains(request.mediaType) else {
            throw Problem(
                .unsupportedMediaType, "Post a form: application/x-www-form-urlencoded.", field: "Content-Type")
        }
    }

    private func event(in form: some Collection<UInt8>, of request: HubRequest) throws -> Event {
        let limits = hub.configuration.limits
        let fields = try FormFields(form, maximumCount: limits.topicsPerEvent + PublishForm.otherFields)
        var event = try PublishForm.event(of: fields, limits: limits)
        if let traceParent = request.traceParent { event.traceParent = traceParent }
        return event
    }
}
