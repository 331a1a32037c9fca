// SPDX-License-Identifier: Apache-2.0

public import EventStream
import HTTPTypes
public import Hummingbird
public import Logging

extension Response {
    /// Streams the events of a sequence, for as long as it has any and the client stays.
    ///
    ///     router.get("ticks") { request, context in Response(events: ticks, to: request) }
    ///
    /// The sequence is read at the pace at which the client reads. Where it throws, the stream ends, and the client connects
    /// again. To refuse a client, throw instead of returning this.
    ///
    /// - Parameters:
    ///   - request: Whose answer it is. Without it, a client that leaves is noticed when something is next written to it, and
    ///     after that once more.
    ///   - logger: Told where the sequence throws.
    public init<Events: AsyncSequence & Sendable>(
        events: Events, to request: Request? = nil, options: EventStreamOptions = EventStreamOptions(),
        logger: Logger = Logger(label: "martlet")
    ) where Events.Element == ServerSentEvent {
        self.init(request, options, logger) { stream in for try await event in events { try await stream.send(event) } }
    }

    /// Streams the texts of a sequence, each as the data of an event.
    public init<Texts: AsyncSequence & Sendable>(
        events: Texts, to request: Request? = nil, options: EventStreamOptions = EventStreamOptions(),
        logger: Logger = Logger(label: "martlet")
    ) where Texts.Element == String {
        self.init(request, options, logger) { stream in for try await text in events { try await stream.send(text) } }
    }

    /// Streams the values of a sequence, each as JSON on one line.
    public init<Values: AsyncSequence & Sendable>(
        events: Values, to request: Request? = nil, options: EventStreamOptions = EventStreamOptions(),
        logger: Logger = Logger(label: "martlet")
    ) where Values.Element: Encodable {
        self.init(request, options, logger) { stream in for try await value in events { try await stream.send(value) } }
    }

    private init(
        _ request: Request?, _ options: EventStreamOptions, _ logger: Logger,
        _ write: @escaping @Sendable (EventStreamWriter) async throws -> Void
    ) {
        let body = EventStreamBody(options: options, logger: logger)
        let writer = EventStreamWriter(outbox: body.outbox, lastEventID: nil)
        self.init(
            status: .ok, headers: request.map { .eventStream(to: $0) } ?? .eventStream,
            body: body.responseBody {
                guard let request else { return try await write(writer) }
                try await request.body.consumeWithCancellationOnInboundClose { _ in try await write(writer) }
            })
    }
}
