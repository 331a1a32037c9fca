// SPDX-License-Identifier: Apache-2.0

public import EventStream
import HTTPTypes
public import Hummingbird

/// An event stream with the elements of a sequence, as the answer of a route.
///
///     router.get("prices") { request, context in ServerSentEvents(prices()) }
///
/// The sequence is read at the pace of the client, and cancelled when the client leaves or the server shuts down. If it
/// throws, the error is logged and the stream ends, and the client connects again. To refuse a client, throw an error from
/// the route. Each answer iterates the sequence once, in its own task.
///
/// Not promised: resuming. A client that reconnects receives the sequence of its new request.
public struct ServerSentEvents: ResponseGenerator, Sendable {
    /// Heartbeats, and the time to wait before a reconnect.
    public var options: EventStreamOptions
    private let write: @Sendable (EventStreamWriter) async throws -> Void

    /// A stream of events with all their fields.
    public init<Events: AsyncSequence & Sendable>(_ events: Events, options: EventStreamOptions = EventStreamOptions())
    where Events.Element == ServerSentEvent {
        self.init(options) { stream in for try await event in events { try await stream.send(event) } }
    }

    /// A stream of texts, each the data of an event.
    public init<Texts: AsyncSequence & Sendable>(_ texts: Texts, options: EventStreamOptions = EventStreamOptions())
    where Texts.Element == String {
        self.init(options) { stream in for try await text in texts { try await stream.send(text) } }
    }

    /// A stream of values, each as JSON on one line.
    public init<Values: AsyncSequence & Sendable>(_ values: Values, options: EventStreamOptions = EventStreamOptions())
    where Values.Element: Encodable {
        self.init(options) { stream in for try await value in values { try await stream.send(value) } }
    }

    /// A stream of values with event types and ids, each as JSON on one line.
    public init<Values: AsyncSequence & Sendable, Value>(
        _ values: Values, options: EventStreamOptions = EventStreamOptions()
    ) where Values.Element == ServerSentValue<Value> {
        self.init(options) { stream in for try await value in values { try await stream.send(value) } }
    }

    private init(
        _ options: EventStreamOptions, _ write: @escaping @Sendable (EventStreamWriter) async throws -> Void
    ) {
        self.options = options
        self.write = write
    }

    public func response(from request: Request, context: some RequestContext) -> Response {
        let body = EventStreamBody(options: options, logger: context.logger)
        let writer = EventStreamWriter(outbox: body.outbox, lastEventID: nil)
        return Response(
            status: .ok, headers: .eventStream(to: HubRequest(request)),
            body: body.responseBody {
                try await request.body.consumeWithCancellationOnInboundClose { _ in try await write(writer) }
            })
    }
}

/// A value with the type and the id of its event. The data is always JSON, also of a `String`.
public struct ServerSentValue<Value: Encodable & Sendable>: Sendable {
    /// The data of the event, before it is encoded.
    public var value: Value
    /// The event type, for which `EventSource` has listeners; `nil` means `message`.
    public var event: String?
    /// The id that a client sends back when it reconnects; `nil` keeps the previous one.
    public var id: String?

    public init(_ value: Value, event: String? = nil, id: String? = nil) {
        self.value = value
        self.event = event
        self.id = id
    }
}

extension ServerSentValue: Equatable where Value: Equatable {}
