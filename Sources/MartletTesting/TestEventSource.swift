// SPDX-License-Identifier: Apache-2.0

public import EventStream

/// One connection of an event source over ``TestConnection``: one request, its head, its events.
public final class TestEventSource {
    public let connection: TestConnection
    /// The head of the response, up to and without the empty line.
    public private(set) var head = ""
    /// The status of the response; `nil` where there was none.
    public var status: Int? { head.split(separator: " ").dropFirst().first.flatMap { Int($0) } }
    /// The bytes of the body as they came, without the transfer coding.
    public private(set) var body: [UInt8] = []
    private var parser: EventStreamParser
    private var chunks = ChunkedDecoder()
    private var ready: ArraySlice<EventStreamParser.Element> = []
    private var isAtEnd = false
    private var returnedID: String

    public var lastEventID: String { parser.lastEventID }

    /// Connects, asks for a path, and reads the head of the response.
    ///
    /// - Parameters:
    ///   - port: The port of a server on this machine.
    ///   - path: The path with its query.
    ///   - lastEventID: What is sent as `Last-Event-ID`, unless it is empty.
    ///   - version: The HTTP version to speak.
    ///   - headers: What else the request says.
    public init(
        port: Int, path: String, lastEventID: String = "", version: String = "1.1", headers: [String: String] = [:]
    ) async throws {
        connection = try await TestConnection(port: port)
        parser = EventStreamParser(lastEventID: lastEventID)
        returnedID = lastEventID
        let resume = lastEventID.isEmpty ? "" : "Last-Event-ID: \(lastEventID)\r\n"
        let more = headers.map { "\($0): \($1)\r\n" }.joined()
        try await connection.send("GET \(path) HTTP/\(version)\r\nHost: localhost:\(port)\r\n\(resume)\(more)\r\n")
        try await readHead()
    }

    private func readHead() async throws {
        var bytes: [UInt8] = []
        while let more = try await connection.receive() {
            bytes += more
            let text = String(decoding: bytes, as: UTF8.self)
            guard let end = text.utf8.firstRange(of: "\r\n\r\n".utf8) else { continue }
            head = String(text[..<end.lowerBound])
            chunks.isChunked = head.lowercased().contains("transfer-encoding: chunked")
            try take(Array(text.utf8[end.upperBound...]))
            return
        }
    }

    private func take(_ bytes: [UInt8]) throws {
        let decoded = try chunks.decode(bytes)
        body += decoded
        ready += try parser.parse(decoded)
        if chunks.isAtEnd { isAtEnd = true }
    }

    /// The next event, comment or retry; `nil` at the end of the stream.
    public func nextElement() async throws -> EventStreamParser.Element? {
        while true {
            if let element = ready.popFirst() { return element }
            guard !isAtEnd, let bytes = try await connection.receive() else { return nil }
            try take(bytes)
        }
    }

    /// The next event; `nil` at the end of the stream.
    public func next() async throws -> ServerSentEvent? {
        while let element = try await nextElement() {
            if case .event(let event) = element { return event }
        }
        return nil
    }

    /// The last event id, as soon as it is another than this method returned before; `nil` at the end of the stream.
    public func nextID() async throws -> String? {
        while parser.lastEventID == returnedID {
            guard !isAtEnd, let bytes = try await connection.receive() else { return nil }
            try take(bytes)
        }
        returnedID = parser.lastEventID
        return returnedID
    }
}
