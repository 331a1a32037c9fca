// SPDX-License-Identifier: Apache-2.0

public import EventStream
import HTTPTypes
import Hummingbird
public import Martlet
import NIOCore

/// A stream to one client, which a handler writes for as long as it runs.
///
/// What is sent is sent whole or not at all, also where several tasks send at once. Heartbeats go out by themselves.
public struct EventStreamWriter: Sendable {
    let outbox: Outbox
    /// What the client saw last, as far as it says so: its `Last-Event-ID`, or `?lastEventID=`. It is whatever a client
    /// likes to send.
    public let lastEventID: String?

    /// Tells the client that the stream is open, before there is an event: from now on it is not refused any more.
    public func open() async throws { try await send(ServerSentEvent(comment: "")) }

    /// Sends an event, and returns once the connection has taken it: who sends faster than a client reads waits.
    ///
    /// - Throws: `EventStreamError`, and nothing is sent, where a field cannot be written; `CancellationError` once the
    ///   client has left; ``EventStreamClosed`` after the handler has returned, or when the server shuts down.
    public func send(_ event: ServerSentEvent) async throws {
        try await outbox.send(ByteBuffer(bytes: event.encoded()))
    }

    /// Sends data, any text; may have several lines.
    public func send(_ data: String, event: String? = nil, id: String? = nil) async throws {
        try await send(ServerSentEvent(event: event, data: data, id: id))
    }

    /// Sends a value as JSON, on one line.
    ///
    /// - Throws: ``EventValueError``, and nothing is sent, where it cannot be JSON; else as ``send(_:)``.
    public func send<Value: Encodable>(_ value: Value, event: String? = nil, id: String? = nil) async throws {
        guard let data = try? EventJSON.text(of: value) else {
            throw EventValueError.notEncodable(Value.self, to: nil)
        }
        try await send(data, event: event, id: id)
    }

    /// Passes on what a subscription to a hub gave.
    public func send(_ delivery: Delivery) async throws {
        try await send(ServerSentEvent(event: delivery.type, data: delivery.data, id: delivery.id))
    }
}

/// Something was sent to a stream that is over: its handler has returned, or the server shuts down.
public struct EventStreamClosed: Error, Hashable, Sendable, CustomStringConvertible {
    public init() {}

    public var description: String { "The stream is over. Send while its handler runs." }
}
