// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MartletOutgoing
import MartletSupport
import NIOCore
import NIOHTTP1

/// A request and its answer, bounded in time. It is sent once, and never redirected.
struct MercureExchange: Sendable {
    let timeout: Duration
    let clock: any Clock<Duration>

    init(within timeout: Duration, clock: any Clock<Duration>) {
        self.timeout = timeout
        self.clock = clock
    }

    /// - Parameter read: Makes something of the answer, within the same time.
    /// - Throws: ``MercureError``, or `CancellationError` when the task is cancelled.
    func answer<Value: Sendable>(
        to request: Request, _ read: @escaping @Sendable (Answer, Body) async throws -> Value
    ) async throws -> Value {
        do {
            try request.check()
            return try await withThrowingTaskGroup(of: Value.self) { tasks in
                tasks.addTask {
                    let response = try await HTTPClient.mercure.execute(
                        HTTPClientRequest(request), deadline: .distantFuture)
                    return try await read(Answer(response), Body(response: response))
                }
                tasks.addTask {
                    try await clock.sleep(for: timeout)
                    throw MercureError(.timedOut, "There is no answer within \(timeout). Try later.")
                }
                defer { tasks.cancelAll() }
                guard let value = try await tasks.next() else { throw CancellationError() }
                return value
            }
        } catch {
            try Task.checkCancellation()
            switch error {
            case let error as MercureError: throw error
            case let error as EventSourceError: throw MercureError(error)
            default: throw MercureError(.unavailable, EventSource.Cause(error).description)
            }
        }
    }

    /// What comes after the head of an answer.
    struct Body: Sendable {
        fileprivate let response: HTTPClientResponse

        /// The values of a header.
        func header(_ name: String) -> [String] { response.headers[name] }

        /// The id of an update, which is all that a hub answers.
        func id(status: Int) async throws -> String {
            let text: String
            do {
                text = String(buffer: try await response.body.collect(upTo: Self.maximumIDBytes))
            } catch is NIOTooManyBytesError {
                text = ""
            }
            let ids = text.utf8.split { $0 == 0x0A || $0 == 0x0D }
            guard ids.count == 1, let id = String(ids[0]) else {
                throw MercureError(
                    .invalidAnswer, status: status, "The answer is not the id of an update. Check the URL.")
            }
            return id
        }

        private static let maximumIDBytes = 64 * 1024
    }
}

extension HTTPClient {
    /// What hubs are published to with. It lives as long as the process.
    static let mercure: HTTPClient = {
        var configuration = Configuration.outgoing
        // Shorter than servers keep a connection that nobody uses, so that an update is not sent into one that ends.
        configuration.connectionPool.idleTimeout = .seconds(2)
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()
}
