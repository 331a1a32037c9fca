// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MartletOutgoing
import MartletSupport
import NIOCore
import NIOHTTP1

/// A GET to a server that decides something here: bounded in time and size, and never redirected.
struct OutgoingRequest: Sendable {
    struct Answer: Sendable {
        var status: Int
        var headers: HTTPHeaders
        var body: [UInt8]
    }

    let url: OutgoingURL
    var headers: HTTPHeaders = [:]
    /// For all of it: the connection, the head and the body.
    let timeout: Duration
    let maximumBytes: Int

    /// - Throws: ``OutgoingError``, or `CancellationError` when the task is cancelled.
    func send() async throws -> Answer {
        try await withTimeout(timeout, throwing: OutgoingError.tookTooLong) {
            do { return try await exchange() } catch let error as HTTPClientError {
                // What describes these errors in full may contain header fields, and so credentials.
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
        let response = try await Self.client.execute(request, timeout: .init(timeout))
        var body: [UInt8] = []
        for try await part in response.body {
            guard body.count + part.readableBytes <= maximumBytes else { throw OutgoingError.tooLarge }
            body.append(contentsOf: part.readableBytesView)
        }
        try Task.checkCancellation()
        return Answer(status: Int(response.status.code), headers: response.headers, body: body)
    }

    /// Connections to one server, over which requests take turns.
    private static let maximumConnections = 64

    /// Lives as long as the process, as the client's own shared one does, which would follow redirects.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration.outgoing
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = maximumConnections
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()
}

/// Why there is no answer.
enum OutgoingError: Error, CustomStringConvertible {
    case tookTooLong
    case tooLarge
    case failed(String)

    var description: String {
        switch self {
        case .failed(let reason): "The request failed: \(reason)."
        case .tookTooLong: "The answer took too long."
        case .tooLarge: "The answer is too large."
        }
    }
}
