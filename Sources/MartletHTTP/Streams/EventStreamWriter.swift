// SPDX-License-Identifier: Apache-2.0

public import EventStream
import HTTPTypes
public import Hummingbird
public import Martlet
import MartletValues
import NIOCore

/// A stream to one client, which a handler writes for as long as it runs.
///
/// Any task of the handler may send; each event is sent as a whole. Martlet adds heartbeats.
///
/// Every method that sends waits until the connection has taken the event, so a fast handler runs at the pace of its
/// client. It throws `EventStreamError`, and sends nothing, if a field cannot be written; `CancellationError` once the
/// client has left; and ``EventStreamClosed`` after the handler has returned, or when the server shuts down. After a
/// cancellation it is not known whether the event was sent.
public struct EventStreamWriter: Sendable {
    let outbox: Outbox
    /// The id of the last event that the client says it saw: its `Last-Event-ID`, or `?lastEventID=`. A client may send
    /// any text.
    public let lastEventID: String?

    /// Tells the client that the stream is open, before there is an event. The client can no longer be refused.
    public func open() async throws { try await send(ServerSentEvent(comment: "")) }

    /// Sends an event with all its fields.
    public func send(_ event: ServerSentEvent) async throws {
        try await outbox.send(ByteBuffer(bytes: event.encoded()))
    }

    /// Sends text as the data of an event; it may have several lines.
    public func send(_ data: String, event: String? = nil, id: String? = nil) async throws {
        try await send(ServerSentEvent(event: event, data: data, id: id))
    }

    /// Sends a value as JSON, on one line.
    ///
    /// - Throws: ``/MartletValues/EventValueError``, and nothing is sent, if the value cannot be written as JSON.
    public func send<Value: Encodable>(_ value: Value, event: String? = nil, id: String? = nil) async throws {
        guard let data = try? EventJSON.text(of: value) else {
            throw EventValueError.notEncodable(Value.self, to: nil)
        }
        try await send(data, event: event, id: id)
    }

    /// Sends a value with its event type and id, as JSON on one line.
    ///
    /// - Throws: ``/MartletValues/EventValueError``, and nothing is sent, if the value cannot be written as JSON.
    public func send<Value>(_ item: ServerSentValue<Value>) async throws {
        try await send(item.value, event: item.event, id: item.id)
    }

    /// Forwards an event from a subscription to a hub.
    public func send(_ delivery: Delivery) async throws {
        try await send(ServerSentEvent(event: delivery.type, data: delivery.data, id: delivery.id))
    }

    /// Sends the reports of the latest run of a job, or those after the last one that the client saw, up to the final one.
    ///
    ///     router.events("imports/{id}/progress") { request, context, stream in
    ///         try await stream.follow(job: "import-" + context.parameters.require("id"), of: hub)
    ///     }
    ///
    /// It waits for a job that has not started, and returns after the final report. A client that comes back then is
    /// answered with 204.
    ///
    /// - Throws: ``NoMoreEvents`` if the client has seen the end of the job; ``/Martlet/MartletError`` if a job cannot
    ///   have this name; otherwise the error of watching the job or of sending.
    public func follow(job name: String, of hub: Hub) async throws {
        try hub.configuration.limits.check(Event(topic: Topic.job(name), data: ""))
        var reports = hub.watchJob(name)
        if let lastEventID {
            guard let rest = try await hub.watchJob(name, after: lastEventID) else { throw NoMoreEvents() }
            reports = rest
        }
        try await open()
        var iterator = reports.makeAsyncIterator()
        while let report = try await iterator.nextDelivery() {
            try await send(report.value, event: JobReport.eventType, id: report.id)
        }
    }
}

/// The stream is over: its handler has returned, or the server is shutting down.
public struct EventStreamClosed: Error, Hashable, Sendable, CustomStringConvertible {
    public init() {}

    public var description: String { "The stream is over. Send only while its handler runs." }
}

/// A handler throws this error if no event will come, now or later. The answer is 204, after which an `EventSource` does
/// not come back (WHATWG HTML, section 9.2.3).
///
/// Throw it before anything is sent. After that, end the stream: the client comes back, and the handler can throw then.
public struct NoMoreEvents: Error, Hashable, Sendable, HTTPResponseError {
    public init() {}

    public var status: HTTPResponse.Status { .noContent }

    public func response(from request: Request, context: some RequestContext) -> Response {
        Response(status: .noContent, headers: [.cacheControl: "no-store", .xContentTypeOptions: "nosniff"])
    }
}
