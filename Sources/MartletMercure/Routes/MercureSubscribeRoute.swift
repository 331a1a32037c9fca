// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet
import MartletHTTP

/// Subscribes to what the query names and streams it for as long as the client stays.
struct MercureSubscribeRoute<Context: ChannelRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>
    /// `nil`: nobody is told who is subscribed.
    let active: ActiveSubscriptions?

    func respond(to request: Request, context: Context) async throws -> Response {
        try await hub.unlessAway {
            let (subscription, headers, connection) = try await subscribe(request, context)
            // Who is about to be sent away is not announced.
            if !hub.sendsAway { connection?.activate() }
            return try subscription.response(on: context.channel, headers: headers)
        }
    }

    /// What the head would be; nobody is subscribed.
    func respondToHead(_ request: Request, context: Context) async throws -> Response {
        Response(status: .ok, headers: try await subscribe(request, context).headers)
    }

    private func subscribe(
        _ request: Request, _ context: Context
    ) async throws -> (Subscription, headers: HTTPFields, ActiveConnection?) {
        let grant = try await access.mercureGrant(for: request, context: context, to: .subscribe)
        let parameters = try RequestTarget(request).query
        let query = try SubscribeQuery(
            parameters, header: request.headers[.lastEventID], limits: hub.configuration.limits)
        do {
            try grant.checkSubscribing(to: query.selectors)
        } catch {
            throw error.unauthorized
        }
        let connection = active.map {
            ActiveConnection(selectors: query.selectors, payload: grant.payload, in: $0)
        }
        let terms = grant.terms(name: try StreamName.find(in: parameters), companion: connection)
        let selection = Selection(selectors: Set(query.selectors), grants: grant.subscribe)
        let age = try Since.find(in: parameters)
        let subscription = try await unlessUnavailable(context.logger) {
            try await hub.subscribe(to: selection, after: query.lastEventID, since: age, terms: terms)
        }
        var headers = HTTPFields.eventStream(subscription, to: request, grant)
        headers[.lastEventID] = Self.start(of: subscription, query)
        return (subscription, headers, connection)
    }

    /// The id that precedes the first event of the stream: the one that the client asked for, by which it sees that it
    /// has missed nothing; and `earliest` where all of history follows, because that id is not known.
    private static func start(of subscription: Subscription, _ query: SubscribeQuery) -> String {
        if subscription.gap != nil { return Position.earliest.text }
        return query.lastEventID ?? subscription.position.text
    }
}
