// SPDX-License-Identifier: Apache-2.0

public import EventStream
public import HummingbirdTesting

extension TestClientProtocol {
    /// The events of a stream of the application under test, on a connection of their own.
    ///
    ///     try await application.test(.live) { client in
    ///         for try await event in client.events("/clock") {
    ///             #expect(event.data == "noon")
    ///             break
    ///         }
    ///     }
    ///
    /// It is connected to when its first event is waited for, and left when the loop is. It needs the `live` framework.
    ///
    /// - Parameters:
    ///   - path: The path with its query.
    ///   - lastEventID: What the client saw last.
    ///   - headers: What else the request says.
    public func events(_ path: String, lastEventID: String = "", headers: [String: String] = [:]) -> TestEvents {
        TestEvents(port: port, path: path, lastEventID: lastEventID, headers: headers)
    }
}

/// The events of one stream; see ``HummingbirdTesting/TestClientProtocol/events(_:lastEventID:headers:)``.
public struct TestEvents: AsyncSequence, Sendable {
    /// The answer was no event stream.
    public struct Refused: Error, Hashable {
        /// The status of the answer; `nil` where there was none.
        public var status: Int?

        public init(status: Int?) { self.status = status }
    }

    fileprivate let port: Int?
    fileprivate let path: String
    fileprivate let lastEventID: String
    fileprivate let headers: [String: String]

    public func makeAsyncIterator() -> Iterator { Iterator(connection: Connection(self)) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let connection: Connection

        /// - Throws: ``Refused``; ``TestConnection/Overdue`` when nothing comes for too long.
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
            guard let port = events.port else { preconditionFailure("Streams need a connection: test(.live).") }
            let source = try await TestEventSource(
                port: port, path: events.path, lastEventID: events.lastEventID, headers: events.headers)
            self.source = source
            guard source.status == 200 else { throw Refused(status: source.status) }
        }
    }
}
