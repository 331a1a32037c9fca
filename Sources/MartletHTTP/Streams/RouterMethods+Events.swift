// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
public import Martlet

extension RouterMethods {
    /// Adds an event stream that a handler writes. The handler runs once for each client.
    ///
    ///     router.events("clock") { request, context, stream in
    ///         while true {
    ///             try await stream.send("\(Date.now)")
    ///             try await Task.sleep(for: .seconds(1))
    ///         }
    ///     }
    ///
    /// Martlet adds the response head, heartbeats, and the time to wait before a reconnect. The stream ends when the
    /// handler returns; the client then connects again, unless the handler throws ``NoMoreEvents``. The handler runs in
    /// its own task, which is cancelled when the client leaves or the server shuts down.
    ///
    /// An error that the handler throws before it sends anything is answered as in any other route. A later error is
    /// logged and ends the stream. HEAD is answered without the handler.
    ///
    /// The stream needs a connection, so test it with the `live` framework.
    ///
    /// - Parameters:
    ///   - options: Heartbeats, and the times to wait.
    ///   - handler: Writes the stream.
    @discardableResult
    public func events(
        _ path: RouterPath, options: EventStreamOptions = EventStreamOptions(),
        use handler: @escaping @Sendable (Request, Context, EventStreamWriter) async throws -> Void
    ) -> Self {
        let handler = EventHandler<Context>(options: options, handler: handler)
        on(path, method: .get, use: handler.respond)
        return on(path, method: .head) { request, _ in
            Response(status: .ok, headers: .eventStream(to: HubRequest(request)))
        }
    }
}

extension RouterMethods where Context: EventStreamRequestContext {
    /// Adds an event stream that a hub writes, with history and resume, for any number of clients at little cost each.
    ///
    ///     router.events("orders/{id}/events", from: hub) { request, context in
    ///         HubStream(try Topic("orders/\(context.parameters.require("id"))"))
    ///     }
    ///
    /// The stream starts after the event of `Last-Event-ID` or `?lastEventID=`; otherwise with the events since `?since=`,
    /// a time or a duration; otherwise now. While the hub drains, or its log is away, a client gets 200 and the time to
    /// wait before it comes back.
    ///
    /// - Parameters:
    ///   - hub: The hub, which must run as a service of the application or around it.
    ///   - select: Says what a client receives; throw to refuse the client. Make text from the request a `Topic`, as
    ///     above: a `TopicSelector` could be a pattern. HEAD calls this, too.
    @discardableResult
    public func events(
        _ path: RouterPath, from hub: Hub,
        use select: @escaping @Sendable (Request, Context) async throws -> HubStream
    ) -> Self {
        let respond: @Sendable (Request, Context) async throws -> Response = { request, context in
            try await hub.respond(to: HubRequest(request), context: context) { try await select(request, context) }
        }
        on(path, method: .get, use: respond)
        return on(path, method: .head, use: respond)
    }
}
