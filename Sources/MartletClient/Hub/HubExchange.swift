// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MartletOutgoing
import MartletSupport
import NIOCore

/// One request and its response, bounded in time. It is sent once, and redirects are not followed.
struct HubExchange: Sendable {
    let timeout: Duration
    let clock: any Clock<Duration>

    /// - Parameter read: Reads the response, within the same time.
    /// - Throws: ``HubError``, or `CancellationError` when the task is cancelled.
    func response<Value: Sendable>(
        to request: Request, _ read: @escaping @Sendable (ResponseHead, HTTPClientResponse) async throws -> Value
    ) async throws -> Value {
        do {
            try request.check()
            let timedOut = HubError(.timedOut, "There is no answer within \(timeout). Try later.")
            return try await withTimeout(timeout, clock: clock, throwing: timedOut) {
                let response = try await HTTPClient.hubs.execute(HTTPClientRequest(request), deadline: .distantFuture)
                return try await read(ResponseHead(response), response)
            }
        } catch {
            try Task.checkCancellation()
            switch error {
            case let error as HubError: throw error
            case let error as EventSourceError: throw HubError(error)
            default: throw HubError(.unavailable, EventSource.DisconnectReason(error).description)
            }
        }
    }
}

extension HTTPClient {
    /// The client for publishing and discovery. It lives as long as the process.
    fileprivate static let hubs: HTTPClient = {
        var configuration = Configuration.outgoing
        // Shorter than servers keep an idle connection, so that a request is not sent into one that ends.
        configuration.connectionPool.idleTimeout = .seconds(2)
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()
}
