// SPDX-License-Identifier: Apache-2.0

import EventStream
import HTTPTypes
public import Hummingbird
public import Martlet

extension RouterMethods {
    /// Adds an event stream that a handler writes, for each client anew.
    ///
    ///     router.events("clock") { request, context, stream in
    ///         while true {
    ///             try await stream.send("\(Date.now)")
    ///             try await Task.sleep(for: .seconds(1))
    ///         }
    ///     }
    ///
    /// The head, heartbeats and the time to wait before reconnecting come by themselves. The stream ends when the handler
    /// returns, after which the client connects again; see ``NoMoreEvents``. The handler is cancelled when the client leaves
    /// or the server shuts down.
    ///
    /// What the handler throws before it sends anything is answered as from any other route. What it throws later ends the
    /// stream and is logged. It needs a connection, so tests of it run `live`.
    @discardableResult
    public func events(
        _ path: RouterPath, options: EventStreamOptions = EventStreamOptions(),
        use handler: @escaping @Sendable (Request, Context, EventStreamWriter) async throws -> Void
    ) -> Self {
        let handler = EventHandler<Context>(options: options, handler: handler)
        on(path, method: .get, use: handler.respond)
        return on(path, method: .head) { request, _ in Response(status: .ok, headers: .eventStream(to: request)) }
    }
}

extension RouterMethods where Context: ChannelRequestContext {
    /// Adds an event stream that a hub writes: however many clients there are, each costs next to nothing.
    ///
    ///     router.events("orders/{id}/events", from: hub) { request, context in
    ///         HubStream(try Topic("orders/\(context.parameters.require("id"))"))
    ///     }
    ///
    /// It begins after the event of `Last-Event-ID` or `?lastEventID=`, else with what was published `?since=` a time or a
    /// duration ago, else now. Who asks for what he may not have is refused by throwing.
    ///
    /// - Parameter select: Says what a client gets. What comes from the request has to be made a `Topic`, as above: a
    ///   `TopicSelector` may be a pattern.
    @discardableResult
    public func events(
        _ path: RouterPath, from hub: Hub,
        _ select: @escaping @Sendable (Request, Context) async throws -> HubStream
    ) -> Self {
        on(path, method: .get) { request, context in
            let stream = try await select(request, context)
            return try await hub.unlessAway {
                let (subscription, first) = try await hub.subscribe(to: stream, for: request)
                let headers = HTTPFields.eventStream(subscription, to: request, stream.grant)
                return try subscription.response(on: context.channel, headers: headers, first: first)
            }
        }
        return on(path, method: .head) { request, context in
            let stream = try await select(request, context)
            let (subscription, _) = try await hub.subscribe(to: stream, for: request)
            return Response(status: .ok, headers: .eventStream(subscription, to: request, stream.grant))
        }
    }
}

extension Hub {
    /// Subscribes to a stream for a request. Returns what the client is to be given before what follows, too.
    fileprivate func subscribe(
        to stream: HubStream, for request: Request
    ) async throws -> (Subscription, first: ServerSentEvent?) {
        guard let state = stream.state else {
            return (try await subscribe(to: stream.topics, as: stream.grant, for: request), nil)
        }
        try stream.grant.checkSubscribing(to: stream.topics)
        let selection = Selection(selectors: stream.topics, grants: stream.grant.subscribe)
        if let id = request.resumeID(try RequestTarget(request).query) {
            try await waitUntilRunning()
            if try await log.resolve(id, for: selection).gap == nil {
                return (try await subscribe(to: stream.topics, as: stream.grant, for: request), nil)
            }
        }
        let (current, position) = try await state()
        return (try await subscribe(to: selection, after: position.text, terms: stream.grant.terms()), current)
    }
}
