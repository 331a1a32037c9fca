// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet

/// Subscribes to what the request names and streams it for as long as the client stays.
struct SubscribeRoute<Context: ChannelRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>

    func respond(to request: Request, context: Context) async throws -> Response {
        try await hub.unlessAway {
            let (subscription, headers) = try await subscribe(request, context)
            return try subscription.response(on: context.channel, headers: headers)
        }
    }

    func respondToHead(_ request: Request, context: Context) async throws -> Response {
        Response(status: .ok, headers: try await subscribe(request, context).headers)
    }

    private func subscribe(
        _ request: Request, _ context: Context
    ) async throws -> (subscription: Subscription, headers: HTTPFields) {
        let grant = try await access.grant(for: request, context: context, to: .subscribe)
        let target = RequestTarget(request)
        var topics: Set<TopicSelector> = []
        if let topic = try target.topic { topics.insert(TopicSelector(topic)) }
        for value in try target.query.values("topic") { topics.insert(TopicSelector(try Topic(value))) }
        let subscription = try await hub.subscribe(to: topics, as: grant, for: request)
        return (subscription, .eventStream(subscription, to: request, grant))
    }
}

extension Hub {
    /// Subscribes for a request, which says from where on, and how it calls the stream.
    func subscribe(to topics: Set<TopicSelector>, as grant: Grant, for request: Request) async throws -> Subscription {
        try grant.checkSubscribing(to: topics)
        let query = try RequestTarget(request).query
        return try await subscribe(
            to: Selection(selectors: topics, grants: grant.subscribe),
            after: request.resumeID(query), since: try Since.find(in: query),
            terms: grant.terms(name: try StreamName.find(in: query)))
    }
}

extension Request {
    /// What the client saw last: the header of a reconnecting `EventSource`, else the parameter that a fresh page can set.
    func resumeID(_ query: [(name: String, value: String)]) -> String? {
        let parameters = query.values("lastEventID") + query.values("last_event_id")
        return ([headers[.lastEventID] ?? ""] + parameters).first { !$0.isEmpty }
    }
}
