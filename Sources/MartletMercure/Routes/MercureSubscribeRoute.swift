// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet
import MartletHTTP

/// Streams the topics that the query of a request names.
struct MercureSubscribeRoute<Context: EventStreamRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>
    /// `nil`: subscriptions are not announced.
    let active: ActiveSubscriptions?

    func respond(to request: Request, context: Context) async throws -> Response {
        let request = HubRequest(request, on: context.channel)
        var response = try await hub.respond(to: request, context: context) { try await stream(for: request, context) }
        // The id that precedes the first event of the stream. If it is the id that the client sent, the client sees that it
        // has missed nothing. It is `earliest` if all of history follows, because that id is not known.
        if response.headers.contains(.lastEventID) {
            if response.headers.contains(.gap) {
                response.headers[.lastEventID] = Position.earliest.text
            } else if let asked = try request.lastEventID {
                response.headers[.lastEventID] = asked.id
            }
        }
        return response
    }

    private func stream(for request: HubRequest, _ context: Context) async throws -> HubStream {
        let grant = try await access.mercureGrant(for: request, context: context, to: .subscribe)
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
