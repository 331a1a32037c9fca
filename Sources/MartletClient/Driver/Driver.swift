// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import EventStream
import Logging
import MartletSupport
import NIOCore

extension EventSource {
    /// Does what a ``Connection`` says, while somebody waits for an event.
    final class Driver {
        private let source: EventSource
        private var connection: Connection?
        private var step = Connection.Step.connect
        private var body: BodyReader?
        private var elements: ArraySlice<EventStreamParser.Element> = []
        /// Thrown once what came before it is handed out.
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
                connection = try Connection(to: source.url, source.configuration, lastEventID: source.lastEventID)
            }
            let timeout = source.configuration.readTimeout
            switch step {
            case .connect:
                source.setState(.connecting)
                source.restarts.clear()
                let token = try await source.configuration.token?()
                step = try connection?.connect(token: token) ?? .end
            case .send(let request):
                let outcome = try await source.interruptible(within: timeout) {
                    try await HTTPClient.eventSources.execute(HTTPClientRequest(request), deadline: .distantFuture)
                }
                guard case .done(let response) = outcome else { return lose(outcome) }
                let answer = Answer(response)
                step = try connection?.answered(answer, using: &random) ?? .end
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
            case .wait(let time, let cause):
                report(cause, time)
                source.setState(.waiting(time, cause))
                // Whether the time is over or somebody does not want to wait for it.
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
                case .lost(let cause): connection?.lost(cause, using: &random)
                case .restarted: connection?.reconnect()
                }
            step = next ?? .end
        }

        /// That a stream ends is usual; that there is none may be for somebody to mend.
        private func report(_ cause: Cause, _ time: Duration) {
            source.logger.log(
                level: source.state == .open ? .debug : .warning, "The event source waits and connects again.",
                metadata: ["reason": "\(cause)", "wait": "\(time)"])
        }
    }
}
