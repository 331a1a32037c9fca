// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletOutgoing

/// The rules of an event source, WHATWG HTML, section 9.2.3: what to do next, after what happened. It does none of it.
///
/// It cannot be copied: while there are two references to what an event has so far, each part that comes copies all of
/// it.
struct Connection: ~Copyable, Sendable {
    enum Step: Sendable, Equatable {
        /// Get a token and say ``Connection/connect(token:)``.
        case connect
        /// Send this and say ``Connection/answered(_:using:)``, or ``Connection/lost(_:using:)``.
        case send(Request)
        /// Wait for bytes and say ``Connection/received(_:into:)``, or ``Connection/lost(_:using:)``.
        case read
        /// Wait and say ``Connection/reconnect()``.
        case wait(Duration, EventSource.Cause)
        /// There is nothing more to come.
        case end
    }

    private let target: OutgoingURL
    private let configuration: EventSource.Configuration
    private let limits: EventStreamParser.Limits
    private var backoff: Backoff
    private var request: Request?
    /// The request that led to the last stream, with what redirects made of it; `nil` once it leads to none.
    private var proven: Request?
    private var parser: EventStreamParser?
    /// What was seen last, of what a request can carry; `""` for nothing.
    private(set) var lastEventID: String

    /// - Throws: ``EventSourceError`` with the code ``EventSourceError/Code/invalidURL``.
    init(
        to url: String, _ configuration: EventSource.Configuration, lastEventID: String
    ) throws(EventSourceError) {
        do { target = try OutgoingURL(url) } catch { throw EventSourceError(error) }
        self.configuration = configuration
        self.lastEventID = lastEventID
        // An event in a single line has the name of the field before it.
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
        _ answer: Answer, using random: inout some RandomNumberGenerator
    ) throws(EventSourceError) -> Step {
        if answer.isPassing { return lost(.answered(status: answer.status), least: answer.wait, using: &random) }
        if answer.isRedirect, let next = try request?.redirected(by: answer, maximum: configuration.maximumRedirects) {
            request = next
            return .send(next)
        }
        if answer.status == 204 { return .end }
        guard answer.status == 200 else {
            throw EventSourceError(
                .refused, status: answer.status,
                "The server answered \(answer.status). Check the URL and what it asks for.")
        }
        guard answer.isEventStream else {
            throw EventSourceError(
                .wrongContentType, status: 200, "The answer is not text/event-stream. Check the URL.")
        }
        guard !answer.isEncoded else {
            throw EventSourceError(
                .encoded, status: 200, "The answer is compressed. Have the server honour Accept-Encoding: identity.")
        }
        proven = request
        parser = EventStreamParser(limits: limits, lastEventID: lastEventID)
        return .read
    }

    /// Reads what came. When it throws, what came before the fault is in `elements` all the same.
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

    /// The connection could not be made, or has ended; what it had begun is dropped.
    mutating func lost(
        _ cause: EventSource.Cause, least: Duration = .zero, using random: inout some RandomNumberGenerator
    ) -> Step {
        if parser == nil { proven = nil }
        parser = nil
        return .wait(backoff.next(least: least, using: &random), cause)
    }

    /// It is time for another connection, or somebody says so.
    mutating func reconnect() -> Step {
        parser = nil
        return .connect
    }
}
