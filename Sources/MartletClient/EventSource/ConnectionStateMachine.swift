// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletOutgoing

/// The rules of an event source (WHATWG HTML, section 9.2.3): what to do next after each thing that happens. The
/// ``EventSource/Driver`` does it.
///
/// It cannot be copied: with two references to the bytes of an unfinished event, each part that arrives would copy them
/// all.
struct ConnectionStateMachine: ~Copyable, Sendable {
    enum Step: Sendable, Equatable {
        /// Get a token, then call ``ConnectionStateMachine/connect(token:)``.
        case connect
        /// Send this request, then call ``ConnectionStateMachine/answered(_:using:)`` or
        /// ``ConnectionStateMachine/lost(_:least:using:)``.
        case send(Request)
        /// Wait for bytes, then call ``ConnectionStateMachine/received(_:into:)`` or
        /// ``ConnectionStateMachine/lost(_:least:using:)``.
        case read
        /// Wait, then call ``ConnectionStateMachine/reconnect()``.
        case wait(Duration, EventSource.DisconnectReason)
        /// There are no more events.
        case end
    }

    private let target: OutgoingURL
    private let configuration: EventSource.Configuration
    private let limits: EventStreamParser.Limits
    private var backoff: Backoff
    private var request: Request?
    /// The request that led to the last stream, after its redirects; `nil` once it has failed.
    private var proven: Request?
    private var parser: EventStreamParser?
    /// The last id that a header can carry; `""` for none.
    private(set) var lastEventID: String

    /// - Throws: ``EventSourceError`` with the code ``EventSourceError/Code/invalidURL``.
    init(
        to url: String, _ configuration: EventSource.Configuration, lastEventID: String
    ) throws(EventSourceError) {
        do { target = try OutgoingURL(url) } catch { throw EventSourceError(error) }
        self.configuration = configuration
        self.lastEventID = lastEventID
        // The line of an event that is one line begins with the name of the field.
        let name = "event: ".utf8.count
        limits = EventStreamParser.Limits(
            maximumLineBytes: min(configuration.maximumEventBytes, .max - name) + name,
            maximumEventBytes: configuration.maximumEventBytes)
        backoff = Backoff(retry: configuration.retry, maximum: configuration.maximumBackoff)
    }

    mutating func connect(token: String?) throws(EventSourceError) -> Step {
        var request = try Request(to: target, configuration, lastEventID: lastEventID, token: token)
        if let proven { request = request.continuing(proven) }
        self.request = request
        return .send(request)
    }

    mutating func answered(
        _ head: ResponseHead, using random: inout some RandomNumberGenerator
    ) throws(EventSourceError) -> Step {
        if head.isTransient { return lost(.answered(status: head.status), least: head.retryAfter, using: &random) }
        if head.isRedirect, let next = try request?.redirected(by: head, maximum: configuration.maximumRedirects) {
            request = next
            return .send(next)
        }
        if head.status == 204 { return .end }
        guard head.status == 200 else {
            throw EventSourceError(
                .refused, status: head.status, "The server answered \(head.status). Check the URL and the credentials.")
        }
        guard head.isEventStream else {
            throw EventSourceError(
                .wrongContentType, status: 200, "The answer is not text/event-stream. Check the URL.")
        }
        guard !head.isEncoded else {
            throw EventSourceError(
                .encoded, status: 200, "The answer is compressed. Make the server honour Accept-Encoding: identity.")
        }
        proven = request
        parser = EventStreamParser(limits: limits, lastEventID: lastEventID)
        return .read
    }

    /// Reads the bytes. If it throws, `elements` still has what came before the fault.
    ///
    /// - Throws: ``EventSourceError`` with the code ``EventSourceError/Code/tooLarge``.
    mutating func received(
        _ bytes: some Sequence<UInt8>, into elements: inout [EventStreamParser.Element]
    ) throws(EventSourceError) {
        let count = elements.count
        defer {
            lastEventID = parser?.lastSendableEventID ?? lastEventID
            for element in elements[count...] {
                switch element {
                case .event: backoff.succeeded()
                case .retry(let milliseconds): backoff.retry = .milliseconds(milliseconds)
                case .comment: break
                }
            }
        }
        do { try parser?.parse(bytes, into: &elements) } catch {
            throw EventSourceError(
                .tooLarge, status: 200,
                "An event is larger than \(configuration.maximumEventBytes) bytes. Raise maximumEventBytes.")
        }
    }

    /// The connection failed or ended. An unfinished event is dropped.
    mutating func lost(
        _ reason: EventSource.DisconnectReason, least: Duration = .zero, using random: inout some RandomNumberGenerator
    ) -> Step {
        if parser == nil { proven = nil }
        parser = nil
        return .wait(backoff.next(least: least, using: &random), reason)
    }

    /// The wait is over, or the application asked for a new connection.
    mutating func reconnect() -> Step {
        parser = nil
        return .connect
    }
}
