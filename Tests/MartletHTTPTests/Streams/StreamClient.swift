// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import EventStream
import MartletTesting
import NIOCore
import NIOHTTP1
import NIOSSL
import TestSupport

/// A client that speaks what a server does, and believes any certificate.
struct StreamClient: Sendable {
    private let client: HTTPClient
    private let base: String
    private let transport: Transport

    /// Runs a closure with a client, whose connections are closed afterwards.
    static func run<Value: Sendable>(
        _ transport: Transport, port: Int, _ body: @Sendable @escaping (StreamClient) async throws -> Value
    ) async throws -> Value {
        var configuration = HTTPClient.Configuration()
        configuration.tlsConfiguration = .makeClientConfiguration()
        configuration.tlsConfiguration?.certificateVerification = .none
        configuration.httpVersion = transport == .http2 ? .automatic : .http1Only
        let client = HTTPClient(configuration: configuration)
        let stream = StreamClient(
            client: client, base: "\(transport.scheme)://localhost:\(port)", transport: transport)
        let result: Result<Value, any Error>
        do { result = .success(try await TestConnection.withPatience { try await body(stream) }) } catch {
            result = .failure(error)
        }
        try await client.shutdown()
        return try result.get()
    }

    func get(_ path: String, lastEventID: String? = nil) async throws -> ResponseEvents {
        var request = HTTPClientRequest(url: base + path)
        // The server closes a connection of HTTP/1 after a handler's stream, which the next request must not meet.
        if transport != .http2 { request.headers.add(name: "Connection", value: "close") }
        if let lastEventID { request.headers.add(name: "Last-Event-ID", value: lastEventID) }
        return ResponseEvents(try await client.execute(request, timeout: .minutes(1)))
    }

    /// Sends a body of unknown length, and returns the status and the body of the answer.
    func post(_ path: String, type: String, _ body: AsyncStream<ByteBuffer>) async throws -> (Int, String) {
        var request = HTTPClientRequest(url: base + path)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: type)
        if transport != .http2 { request.headers.add(name: "Connection", value: "close") }
        request.body = .stream(body, length: .unknown)
        let response = try await client.execute(request, timeout: .minutes(1))
        return (Int(response.status.code), String(buffer: try await response.body.collect(upTo: 1 << 20)))
    }
}

/// The head of an answer, and the events of its body.
final class ResponseEvents {
    let status: Int
    /// By their names in lower case.
    let headers: [String: String]
    let isHTTP2: Bool
    private var parts: HTTPClientResponse.Body.AsyncIterator
    private var parser = EventStreamParser()
    private var ready: ArraySlice<EventStreamParser.Element> = []

    init(_ response: HTTPClientResponse) {
        status = Int(response.status.code)
        headers = Dictionary(response.headers.map { ($0.name.lowercased(), $0.value) }) { "\($0), \($1)" }
        isHTTP2 = response.version == .http2
        parts = response.body.makeAsyncIterator()
    }

    func nextElement() async throws -> EventStreamParser.Element? {
        while true {
            if let element = ready.popFirst() { return element }
            guard let part = try await parts.next() else { return nil }
            ready += try parser.parse(part.readableBytesView)
        }
    }

    func next() async throws -> ServerSentEvent? {
        while let element = try await nextElement() {
            if case .event(let event) = element { return event }
        }
        return nil
    }
}
