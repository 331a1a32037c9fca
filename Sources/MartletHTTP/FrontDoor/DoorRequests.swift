// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
import Hummingbird
package import Logging
package import Martlet
import NIOCore

/// A route that answers with streams of a hub.
package protocol StreamingRoute: Sendable {
    var hub: Hub { get }

    /// Says what a client receives. An error is the answer.
    func stream(for request: HubRequest, grant: Grant) throws -> HubStream

    /// Changes what the head of the stream says about where it starts.
    func finish(_ headers: inout HTTPFields, for request: HubRequest) throws
}

extension StreamingRoute {
    package func finish(_ headers: inout HTTPFields, for request: HubRequest) throws {}
}

/// A route that publishes one event in each request.
package protocol PublishingRoute: Sendable {
    var hub: Hub { get }

    /// The event that a request publishes; `nil` if it publishes something else.
    ///
    /// - Throws: ``Problem`` or another answer. The rights to the topics are not checked.
    func event(in request: HubRequest, body: UnsafeRawBufferPointer) throws -> Event?

    /// The body of the answer.
    func text(ofAnswer id: String) -> String
}

/// Begins a stream.
package struct DoorSubscribe: DoorRequest {
    private let route: any StreamingRoute
    private let access: PlainAccess
    private let request: HubRequest
    private let reply: DoorReply

    package init(_ route: any StreamingRoute, _ access: PlainAccess, _ request: HubRequest, _ reply: DoorReply) {
        self.route = route
        self.access = access
        self.request = request
        self.reply = reply
    }

    package func answerNow() throws -> DoorAnswer? {
        guard !route.hub.isDraining else { throw NotAtTheDoor() }
        do {
            let start = ContinuousClock.now
            guard var grant = try access.judgeNow(request, .subscribe) else { return nil }
            grant.judged = start
            let stream = try route.stream(for: request, grant: grant)
            return try route.hub.subscribeNow(to: stream, for: request).map { try answer($0, stream) }
        } catch let refusal as ClientRefusal {
            return answer(refusal)
        }
    }

    package func answer() async throws -> DoorAnswer {
        do {
            let start = ContinuousClock.now
            var grant = try await access.judge(request, .subscribe)
            grant.judged = start
            let stream = try route.stream(for: request, grant: grant)
            let subscription =
                if let now = try route.hub.subscribeNow(to: stream, for: request) { now } else {
                    try await route.hub.subscribe(to: stream, for: request, route.hub.logger).0
                }
            // The server says when to come back.
            guard !route.hub.isDraining else { throw NotAtTheDoor() }
            return try answer(subscription, stream)
        } catch let refusal as ClientRefusal {
            return answer(refusal)
        }
    }

    /// Tells a client that is above a limit to come back later. Here that is cheap, and it may ask again and again.
    private func answer(_ refusal: ClientRefusal) -> DoorAnswer {
        route.hub.clientRefused(refusal)
        let opening = WireBytes.opening(after: nil, retry: route.hub.retry())
        let bytes = reply.bytes(.ok, .eventStream, opening.plain.readableBytesView)
        return reply.closes ? .last(bytes) : .bytes(bytes)
    }

    private func answer(_ subscription: Subscription, _ stream: HubStream) throws -> DoorAnswer {
        // The server says that there is nothing more.
        if try subscription.hasNothing(for: request) { throw NotAtTheDoor() }
        var start = HTTPFields.start(of: subscription)
        try route.finish(&start, for: request)
        let opening = reply.stream(
            isPersonal: stream.grant.isPersonal(for: request), start,
            subscription.opening(retry: route.hub.retry()))
        stream.companion?.streamBegins()
        return .stream(subscription, opening: opening, framing: reply.framing)
    }
}

/// Publishes one event.
package struct DoorPublish: DoorRequest {
    private let route: any PublishingRoute
    private let access: PlainAccess
    private let request: HubRequest
    private let event: Event
    private let reply: DoorReply
    private let logger: Logger

    /// `nil` if the server has to answer: it publishes something else, or it is refused.
    package init?(
        _ route: any PublishingRoute, _ access: PlainAccess, _ request: HubRequest, body: UnsafeRawBufferPointer,
        _ reply: DoorReply, _ logger: Logger
    ) {
        guard let event = try? route.event(in: request, body: body) else { return nil }
        self.route = route
        self.access = access
        self.request = request
        self.event = event
        self.reply = reply
        self.logger = logger
    }

    private static let headers: HTTPFields = [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"]

    package func answerNow() throws -> DoorAnswer? {
        guard let grant = try access.judgeNow(request, .publish) else { return nil }
        try grant.checkPublishing(event)
        return try publishNow(once: try request.idempotencyKey, grant)
    }

    /// `nil` if it has to wait. If nothing is published, the client has not spent anything, since it is tried again.
    private func publishNow(once key: String?, _ grant: Grant) throws -> DoorAnswer? {
        let (hub, client) = (route.hub, request.client(grant))
        do { try hub.spend(on: [event], by: client) } catch { return answer(error) }
        do {
            if let ids = try hub.publishNow([event], once: key, in: grant.keyScope) { return answer(ids[0]) }
        } catch {
            hub.clients.giveBack(for: [event], to: client)
            throw error
        }
        hub.clients.giveBack(for: [event], to: client)
        return nil
    }

    package func answer() async throws -> DoorAnswer {
        let grant = try await access.judge(request, .publish)
        try grant.checkPublishing(event)
        let key = try request.idempotencyKey
        if let answer = try publishNow(once: key, grant) { return answer }
        // From here on the event may have been published, so the server must not try again.
        do {
            let ids = try await route.hub.publish([event], once: key, for: request, grant, request.tracing(logger))
            return answer(ids[0])
        } catch let error as MartletError {
            return answer(Problem(error))
        } catch let problem as Problem {
            return answer(problem)
        }
    }

    private func answer(_ id: String) -> DoorAnswer {
        .bytes(reply.bytes(.ok, Self.headers, route.text(ofAnswer: id).utf8))
    }

    private func answer(_ problem: Problem) -> DoorAnswer {
        route.hub.countRefusal(problem)
        let bytes = reply.bytes(problem.status, problem.allHeaders, problem.document.readableBytesView)
        return problem.limit == nil ? .bytes(bytes) : .refusal(bytes)
    }
}
