// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import Martlet

/// Streams the topics that the path and the query of a request name.
struct SubscribeRoute<Context: EventStreamRequestContext>: StreamingRoute, DoorRoute {
    let hub: Hub
    let access: Access<Context>

    func respond(to request: Request, context: Context) async throws -> Response {
        let request = HubRequest(request, on: context.channel)
        return try await hub.respond(to: request, context: context) {
            try stream(
                for: request, grant: try await access.grant(for: request, context: context, to: .subscribe))
        }
    }

    func stream(for request: HubRequest, grant: Grant) throws -> HubStream {
        var stream = HubStream(topics: try request.topicSelectors(behind: "/events"), grant: grant)
        stream.beginsWithValues = try request.beginsWithValues
        stream.profile = try request.profile
        if try request.wantsControl { stream.control = .randomName() }
        return stream
    }

    var prefix: StaticString { "/events" }

    func doorRequest(for request: HubRequest, body: UnsafeRawBufferPointer, reply: DoorReply) -> (any DoorRequest)? {
        guard request.method == .get, let access = access.plain, !request.hasTicket, !request.hasControl else {
            return nil
        }
        return DoorSubscribe(self, access, request, reply)
    }
}
