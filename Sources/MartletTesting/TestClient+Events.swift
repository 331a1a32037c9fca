// SPDX-License-Identifier: Apache-2.0

public import EventStream
public import HummingbirdTesting

extension TestClientProtocol {
    /// The events of a stream of the application under test, over a separate connection.
    ///
    ///     try await application.test(.live) { client in
    ///         for try await event in client.events("/clock") {
    ///             #expect(event.data == "noon")
    ///             break
    ///         }
    ///     }
    ///
    /// The client connects when the first event is requested, and disconnects when the loop ends. It needs the `live`
    /// framework.
    ///
    /// - Parameters:
    ///   - path: The path with its query.
    ///   - lastEventID: The id of the last event that the client saw, sent as `Last-Event-ID` unless it is empty.
    ///   - headers: More headers of the request.
    public func events(_ path: String, lastEventID: String = "", headers: [String: String] = [:]) -> TestEvents {
        TestEvents(port: port, path: path, lastEventID: lastEventID, headers: headers)
    }
}

/// The events of one stream; see ``HummingbirdTesting/TestClientProtocol/events(_:lastEventID:headers:)``.
public struct TestEvents: AsyncSequence, Sendable {
    /// The status of the answer was not 200.
    public struct Refused: Error, Hashable {
        /// The status of the answer; `nil` if there was no answer.
        public var status: Int?

        public init(status: Int?) { self.status = status }
    }

    /// No data has arrived for minutes.
    public struct Overdue: Error {
        package init() {}
    }

    fileprivate let port: Int?
    fileprivate let path: String
    fileprivate let lastEventID: String
    fileprivate let headers: [String: String]

    public func makeAsyncIterator() -> Iterator { Iterator(connection: Connection(self)) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let connection: Connection

        /// The next event; `nil` at the end of the stream.
        ///
        /// - Throws: ``Refused``; ``Overdue`` if no data arrives for minutes.
        public mutating func next() async throws -> ServerSentEvent? { try await connection.next() }
    }

    fileprivate final class Connection {
        private let events: TestEvents
        private var source: TestEventSource?

        init(_ events: TestEvents) { self.events = events }

        deinit { source?.connection.leave() }

        func next() async throws -> ServerSentEvent? {
            if source == nil { try await connect() }
            return try await source?.next()
        }

        private func connect() async throws {
            guard let port = events.port else { preconditionFailure("A stream needs a connection. Use test(.live).") }
            let source = try await TestEventSource(
                port: port, path: events.path, lastEventID: events.lastEventID, headers: events.headers)
            self.source = source
            guard source.status == 200 else { throw Refused(status: source.status) }
        }
    }
}
