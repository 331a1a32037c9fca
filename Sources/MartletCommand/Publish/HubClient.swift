// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MartletClient
import MartletOutgoing
import NIOCore
import NIOHTTP1
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Publishes batches over HTTP, each until the hub has said what becomes of it.
struct HubClient: Sendable {
    /// How long one attempt may take; a hub that has much to do lets its publishers wait.
    static let attemptTimeout = Duration.seconds(10)
    /// The first wait between two attempts, and the longest that is not asked for.
    static let retry = (first: Duration.milliseconds(100), longest: Duration.seconds(5))
    /// How long nothing has to be answered until the user is told.
    static let noteAfter = Duration.seconds(1)
    /// The largest answer: as many of the longest ids as a batch may ask for, about twice.
    static let maximumAnswerBytes = 2 * 1024 * 1024

    let address: HubAddress
    let fields: [String: String]
    /// The token to send now.
    let token: @Sendable () throws -> String?
    /// For how long the same batch is sent again.
    let retryFor: Duration
    /// Shows a line to the user.
    let note: @Sendable (String) -> Void

    enum Outcome: Equatable, Sendable {
        case published([String])
        case refused(Refusal)
    }

    /// Sends the batch, again and again with the same key, until there is an answer.
    ///
    /// - Throws: ``ClientError`` where there is none in time, or none of a hub; ``SettingsError`` where there is no
    ///   token.
    func publish(_ batch: LineBatch, run: String) async throws -> Outcome {
        let clock = ContinuousClock()
        let start = clock.now
        var backoff = Backoff(retry: Self.retry.first, maximum: Self.retry.longest)
        var random = SystemRandomNumberGenerator()
        var isNoted = false
        while true {
            let request = try request(batch, run: run)
            switch await answer(to: request, count: batch.lines.count) {
            case .published(let ids): return .published(ids)
            case .refused(let refusal): return .refused(refusal)
            case .strange(let reason): throw ClientError(.failed, reason)
            case .later(let reason, let least):
                let passed = clock.now - start
                let wait = min(backoff.next(least: least, using: &random), max(least, retryFor - passed))
                guard passed < retryFor, passed + wait <= retryFor else {
                    throw ClientError(.unreachable, reason)
                }
                if passed >= Self.noteAfter, !isNoted {
                    note("trying again until \(retryFor.described) have passed: \(reason)")
                    isNoted = true
                }
                try await clock.sleep(for: wait)
            }
        }
    }

    private func request(_ batch: LineBatch, run: String) throws -> HTTPClientRequest {
        let (url, type, body) =
            if case .data(let template, let data) = batch.lines[0].event {
                (try address.event(template), "text/plain; charset=utf-8", data)
            } else {
                (address.events, "application/x-ndjson", batch.json)
            }
        var request = HTTPClientRequest(to: url)
        request.method = .POST
        request.headers = HTTPHeaders(fields.map { ($0.key, $0.value) })
        request.headers.replaceOrAdd(name: "Content-Type", value: type)
        request.body = .bytes(ByteBuffer(bytes: body))
        request.headers.replaceOrAdd(name: "Idempotency-Key", value: batch.idempotencyKey(run: run))
        if let token = try token() { request.headers.replaceOrAdd(name: "Authorization", value: "Bearer \(token)") }
        return request
    }

    private func answer(to request: HTTPClientRequest, count: Int) async -> HubAnswer {
        await withTaskGroup(of: HubAnswer.self) { tasks in
            tasks.addTask {
                do { return try await Self.exchange(request, count: count) } catch is NIOTooManyBytesError {
                    return .strange("the answer is larger than that of a Martlet hub; check the URL")
                } catch {
                    return .later("the connection failed: \(Self.reason(error))", wait: .zero)
                }
            }
            tasks.addTask {
                try? await Task.sleep(for: Self.attemptTimeout)
                return .later("there was no answer within \(Self.attemptTimeout.described)", wait: .zero)
            }
            defer { tasks.cancelAll() }
            return await tasks.next() ?? .later("there was no answer", wait: .zero)
        }
    }

    private static func exchange(_ request: HTTPClientRequest, count: Int) async throws -> HubAnswer {
        let response = try await client.execute(request, deadline: .distantFuture)
        let body = try await response.body.collect(upTo: maximumAnswerBytes)
        return HubAnswer(
            status: Int(response.status.code), mediaType: response.mediaType, wait: response.retryAfter,
            body: Array(body.readableBytesView), count: count)
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        // What describes these errors in full may contain header fields, and so credentials.
        case let error as HTTPClientError: error.shortDescription
        case let error as NIOConnectionError where error.connectionErrors.isEmpty: "the host \(error.host) is not known"
        case let error as NIOConnectionError: error.connectionErrors.map { reason($0.error) }.joined(separator: ", ")
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case let error as AnswerError: error.description
        default: "\(type(of: error))"
        }
    }

    /// Lives as long as the process.
    private static let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: .outgoing)
}
