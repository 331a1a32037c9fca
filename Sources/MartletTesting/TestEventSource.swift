// SPDX-License-Identifier: Apache-2.0

package import EventStream

/// One connection of an event source: one request, the head of its response, and its events.
package final class TestEventSource {
    package let connection: TestConnection
    /// The head of the response, without the empty line.
    package private(set) var head = ""
    /// The status of the response; `nil` if there was no response.
    package var status: Int? { head.split(separator: " ").dropFirst().first.flatMap { Int($0) } }
    /// The body so far, without the transfer coding.
    package private(set) var body: [UInt8] = []
    private var parser: EventStreamParser
    private var chunks = ChunkedDecoder()
    private var ready: ArraySlice<EventStreamParser.Element> = []
    private var isAtEnd = false
    private var returnedID: String

    package var lastEventID: String { parser.lastEventID }

    /// Connects, sends a request, and reads the head of the response.
    ///
    /// - Parameters:
    ///   - port: The port of a server on this machine.
    ///   - path: The path with its query.
    ///   - lastEventID: Sent as `Last-Event-ID`, unless it is empty.
    ///   - version: The version of HTTP.
    ///   - headers: More headers of the request.
    package init(
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
    package func nextElement() async throws -> EventStreamParser.Element? {
        while true {
            if let element = ready.popFirst() { return element }
            guard !isAtEnd, let bytes = try await connection.receive() else { return nil }
            try take(bytes)
        }
    }

    /// The next event; `nil` at the end of the stream.
    package func next() async throws -> ServerSentEvent? {
        while let element = try await nextElement() {
            if case .event(let event) = element { return event }
        }
        return nil
    }

    /// The last event id, as soon as it differs from the previous result of this method; `nil` at the end of the stream.
    package func nextID() async throws -> String? {
        while parser.lastEventID == returnedID {
            guard !isAtEnd, let bytes = try await connection.receive() else { return nil }
            try take(bytes)
        }
        returnedID = parser.lastEventID
        return returnedID
    }
}

/// Removes the chunked transfer coding (RFC 9112, section 7.1), without trailers.
package struct ChunkedDecoder {
    package struct Malformed: Error {}

    /// If `false`, the bytes are returned unchanged.
    package var isChunked: Bool
    /// Whether the last chunk has arrived.
    package private(set) var isAtEnd = false
    private var rest: [UInt8] = []

    package init(isChunked: Bool = false) { self.isChunked = isChunked }

    package mutating func decode(_ bytes: [UInt8]) throws -> [UInt8] {
        guard isChunked else { return bytes }
        rest += bytes
        var decoded: [UInt8] = []
        while !isAtEnd, let lineEnd = rest.firstRange(of: [0x0D, 0x0A]) {
            guard let size = Int(String(decoding: rest[..<lineEnd.lowerBound], as: UTF8.self), radix: 16) else {
                throw Malformed()
            }
            let end = lineEnd.upperBound + size + 2
            guard rest.count >= end else { break }
            guard rest[(end - 2)..<end].elementsEqual([0x0D, 0x0A]) else { throw Malformed() }
            decoded += rest[lineEnd.upperBound..<(end - 2)]
            rest.removeFirst(end)
            isAtEnd = size == 0
        }
        return decoded
    }
}
