// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet
import MartletHTTP
import MartletSupport

/// Streams the topics that the query of a request names.
struct MercureSubscribeRoute<Context: EventStreamRequestContext>: StreamingRoute, DoorRoute {
    let hub: Hub
    let access: Access<Context>
    /// `nil`: subscriptions are not announced.
    let active: ActiveSubscriptions?

    func respond(to request: Request, context: Context) async throws -> Response {
        let request = HubRequest(request, on: context.channel)
        var response = try await hub.respond(to: request, context: context) {
            try stream(
                for: request, grant: try await access.mercureGrant(for: request, context: context, to: .subscribe))
        }
        try finish(&response.headers, for: request)
        return response
    }

    func finish(_ headers: inout HTTPFields, for request: HubRequest) throws {
        // The id that precedes the first event of the stream. If it is the id that the client sent, the client sees that it
        // has missed nothing. It is `earliest` if all of history follows, because that id is not known.
        guard headers.contains(.lastEventID) else { return }
        if headers.contains(.gap) {
            headers[.lastEventID] = Position.earliest.text
        } else if let asked = try request.lastEventID {
            headers[.lastEventID] = asked.id
        }
    }

    var prefix: StaticString { "/.well-known/mercure" }

    func doorRequest(for request: HubRequest, body: UnsafeRawBufferPointer, reply: DoorReply) -> (any DoorRequest)? {
        guard request.method == .get, request.path.isExactly("/.well-known/mercure"), let access = access.plain,
            !request.hasTicket
        else { return nil }
        return DoorSubscribe(self, access, request, reply)
    }

    func stream(for request: HubRequest, grant: Grant) throws -> HubStream {
        let query = try SubscribeQuery(request, limits: hub.configuration.limits)
        do {
            try grant.checkSubscribing(to: query.selectors)
        } catch {
            throw error.unauthorized
        }
        var stream = HubStream(topics: Set(query.selectors), grant: grant)
        stream.companion = active.map { ActiveConnection(selectors: query.selectors, payload: grant.payload, in: $0) }
        return stream
    }
}
