// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MartletSupport
import NIOCore
package import NIOHTTP1

/// A request to a server that the hub trusts: bounded in time and size, and without redirects. A GET, or a POST if it has
/// a body.
package struct OutgoingRequest: Sendable {
    package struct Answer: Sendable {
        package var status: Int
        package var headers: HTTPHeaders
        package var body: [UInt8]

        package init(status: Int, headers: HTTPHeaders, body: [UInt8]) {
            self.status = status
            self.headers = headers
            self.body = body
        }
    }

    package let url: OutgoingURL
    package var headers: HTTPHeaders = [:]
    package var body: [UInt8]?
    /// The time for the connection, the head and the body together.
    package let timeout: Duration
    /// The largest body of an answer.
    package let maximumBytes: Int

    package init(url: OutgoingURL, timeout: Duration, maximumBytes: Int) {
        self.url = url
        self.timeout = timeout
        self.maximumBytes = maximumBytes
    }

    /// - Throws: ``OutgoingError``, or `CancellationError` when the task is cancelled.
    package func send() async throws -> Answer {
        try await withTimeout(timeout, throwing: OutgoingError.tookTooLong) {
            do { return try await exchange() } catch let error as HTTPClientError {
                // Their full description may contain header fields, and so credentials.
                throw OutgoingError.failed(error.shortDescription)
            } catch let error as AnswerError {
                throw OutgoingError.failed("\(error)")
            }
        }
    }

    private func exchange() async throws -> Answer {
        var request = HTTPClientRequest(to: url)
        request.headers = headers
        request.headers.replaceOrAdd(name: "accept", value: "application/json")
        request.headers.replaceOrAdd(name: "user-agent", value: "martlet")
        if let body {
            request.method = .POST
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        let response = try await Self.client.execute(request, timeout: .init(timeout))
        var body: [UInt8] = []
        for try await part in response.body {
            guard body.count + part.readableBytes <= maximumBytes else { throw OutgoingError.tooLarge }
            body.append(contentsOf: part.readableBytesView)
        }
        try Task.checkCancellation()
        return Answer(status: Int(response.status.code), headers: response.headers, body: body)
    }

    /// The most connections to one server. Further requests wait.
    private static let maximumConnections = 64

    /// Lives as long as the process. (The shared client of the library would follow redirects.)
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration.outgoing
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = maximumConnections
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()
}

/// The reason why there is no answer.
package enum OutgoingError: Error, CustomStringConvertible {
    case tookTooLong
    case tooLarge
    case failed(String)

    package var description: String {
        switch self {
        case .failed(let reason): "The request failed: \(reason)."
        case .tookTooLong: "The answer took too long."
        case .tooLarge: "The answer is too large."
        }
    }
}

extension OutgoingURL {
    /// A URL from the configuration. Nothing in it is encoded.
    ///
    /// - Throws: ``OutgoingURLError`` or ``CharacterError``, whose texts continue "The URL".
    package init(setting text: String) throws {
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw CharacterError() }
        try self.init(text)
    }

    package struct CharacterError: Error, CustomStringConvertible {
        package let description = "must have ASCII characters without spaces only; percent-encode all others"
    }
}
