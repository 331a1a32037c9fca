// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import EventStream
import Logging
import MartletOutgoing
import MartletSupport
import NIOCore

extension EventSource {
    /// Does what a ``ConnectionStateMachine`` says, while a task waits for an event.
    final class Driver {
        private let source: EventSource
        private var connection: ConnectionStateMachine?
        private var step = ConnectionStateMachine.Step.connect
        private var body: BodyReader?
        private var elements: ArraySlice<EventStreamParser.Element> = []
        /// Thrown once the events before it are handed out.
        private var fault: EventSourceError?
        private var random = SystemRandomNumberGenerator()

        init(_ source: EventSource) { self.source = source }

        deinit { source.setState(.closed) }

        func next() async throws -> ServerSentEvent? {
            do {
                while step != .end {
                    while let element = elements.popFirst() {
                        if let event = handOut(element) { return event }
                    }
                    if let fault { throw fault }
                    if let id = connection?.lastEventID { source.setLastEventID(id) }
                    try await advance()
                }
                close()
                return nil
            } catch {
                close()
                throw error
            }
        }

        private func handOut(_ element: EventStreamParser.Element) -> ServerSentEvent? {
            switch element {
            case .event(let event):
                let id = event.id ?? ""
                if id.utf8.isHTTPFieldValue { source.setLastEventID(id) }
                return event
            case .comment(let text): source.configuration.onComment?(text)
            case .retry: break
            }
            return nil
        }

        private func close() {
            step = .end
            body = nil
            source.setState(.closed)
        }

        private func advance() async throws {
            try Task.checkCancellation()
            if connection == nil {
                connection = try ConnectionStateMachine(
                    to: source.url, source.configuration, lastEventID: source.lastEventID)
            }
            let timeout = source.configuration.readTimeout
            switch step {
            case .connect:
                source.setState(.connecting)
                source.reconnectRequests.clear()
                let token = try await source.configuration.token?()
                step = try connection?.connect(token: token) ?? .end
            case .send(let request):
                let outcome = try await source.interruptible(within: timeout) {
                    try await HTTPClient.eventSources.execute(HTTPClientRequest(request), deadline: .distantFuture)
                }
                guard case .done(let response) = outcome else { return lose(outcome) }
                step = try connection?.answered(ResponseHead(response), using: &random) ?? .end
                if step == .read {
                    body = BodyReader(response.body)
                    source.setState(.open)
                }
            case .read:
                guard let body else { return }
                let outcome = try await source.interruptible(within: timeout) { try await body.next() }
                guard case .done(let bytes?) = outcome else { return lose(outcome) }
                var elements: [EventStreamParser.Element] = []
                do throws(EventSourceError) {
                    try connection?.received(bytes.readableBytesView, into: &elements)
                } catch {
                    fault = error
                }
                self.elements = elements[...]
            case .wait(let time, let reason):
                report(reason, time)
                source.setState(.waiting(time, reason))
                // Until the time is over, or the application asks for a connection.
                _ = try await source.interruptible(within: nil) { [clock = source.clock] in
                    try await clock.sleep(for: time)
                }
                step = connection?.reconnect() ?? .end
            case .end: break
            }
        }

        private func lose<Value>(_ outcome: Outcome<Value>) {
            body = nil
            let next =
                switch outcome {
                case .done: connection?.lost(.ended, using: &random)
                case .lost(let reason): connection?.lost(reason, using: &random)
                case .reconnect: connection?.reconnect()
                }
            step = next ?? .end
        }

        /// The end of a stream is normal. If there is no stream, an operator may have to act.
        private func report(_ reason: DisconnectReason, _ time: Duration) {
            source.logger.log(
                level: source.state == .open ? .debug : .warning,
                "The event source has no connection and will reconnect.",
                metadata: ["reason": "\(reason)", "wait": "\(time)"])
        }
    }

    /// The body of a response, part by part. It keeps the connection.
    ///
    /// The iterator is used by one task at a time: the driver starts the next task of a group after the one before has
    /// ended.
    private final class BodyReader: @unchecked Sendable {
        private var parts: HTTPClientResponse.Body.AsyncIterator

        init(_ body: HTTPClientResponse.Body) { parts = body.makeAsyncIterator() }

        func next() async throws -> ByteBuffer? { try await parts.next() }
    }
}

extension HTTPClient {
    /// The client of all event sources. It lives as long as the process and keeps no idle connection.
    fileprivate static let eventSources = HTTPClient(
        eventLoopGroupProvider: .singleton, configuration: .eventSources)
}

extension HTTPClient.Configuration {
    /// One connection for each stream.
    static let eventSources: Self = {
        var configuration = outgoing
        configuration.maximumUsesPerConnection = 1
        // A connection that is made for a source which is cancelled in the meantime is of no use.
        configuration.connectionPool.idleTimeout = .zero
        // The application decides how many sources there are.
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = .max
        return configuration
    }()
}
