// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import NIOCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension HubClient {
    /// Publishes data to a topic.
    ///
    /// - Parameters:
    ///   - data: Any text.
    ///   - topic: The topic of the event.
    ///   - type: The type of the event; `nil` for `message`.
    ///   - key: Names this publish, see ``publish(contentsOf:once:)``.
    /// - Returns: the id of the event, from which a subscription can resume.
    /// - Throws: ``HubError``, `CancellationError`, or the error of the token provider.
    @discardableResult
    public func publish(
        _ data: String, to topic: String, type: String? = nil, once key: String? = nil
    ) async throws -> String {
        try await publish(HubEvent(data, to: topic, type: type), once: key)
    }

    /// Publishes an event.
    ///
    /// - Parameter key: Names this publish, see ``publish(contentsOf:once:)``.
    /// - Returns: the id of the event, from which a subscription can resume.
    /// - Throws: ``HubError``, `CancellationError`, or the error of the token provider.
    @discardableResult
    public func publish(_ event: HubEvent, once key: String? = nil) async throws -> String {
        try await publish(contentsOf: [event], once: key)[0]
    }

    /// Publishes events in this order.
    ///
    /// A Martlet hub receives them in batches of up to 1000 events and 512 KiB, a Mercure hub one by one. If the hub
    /// refuses an event, the events before it are published and those after it are not: ``HubError/events`` names it.
    ///
    /// - Parameters:
    ///   - events: Any number, also none.
    ///   - key: Names this publish, in up to 200 bytes. If a call failed with ``HubError/Code/unavailable`` or was
    ///     cancelled, even in an earlier process, call again with the same events and the same key: a Martlet hub then
    ///     publishes what is missing. `nil` for a new key.
    /// - Returns: the id of each event, from which a subscription can resume.
    /// - Throws: ``HubError``, `CancellationError`, or the error of the token provider.
    @discardableResult
    public func publish(contentsOf events: [HubEvent], once key: String? = nil) async throws -> [String] {
        var ids: [String] = []
        try await publish(events.map(HubEvent.Source.event), once: key) { ids += $0 }
        return ids
    }

    /// Publishes events like ``publish(contentsOf:once:)``.
    ///
    /// - Parameter acknowledge: Receives the ids of the next events as soon as the hub has them. What it throws ends the
    ///   call.
    package func publish(
        _ events: [HubEvent.Source], once key: String? = nil, acknowledge: ([String]) async throws -> Void
    ) async throws {
        let requests = PublishRequests(
            events: events, key: key ?? UUID().uuidString, interface: interface, endpoint: try endpoint(),
            headers: headers)
        try requests.check()
        try await publish(events.indices, requests, acknowledge)
    }

    private func publish(
        _ range: Range<Int>, _ requests: PublishRequests, _ acknowledge: ([String]) async throws -> Void
    ) async throws {
        var rest = range
        while !rest.isEmpty {
            let (request, events) = try requests.next(of: rest)
            rest = events.upperBound..<rest.upperBound
            let ids: [String]
            do { ids = try await retrying(request, count: events.count, on: clock) } catch let error as HubError {
                guard let count = error.eventsToTry(of: events.count) else { throw error.about(events) }
                try await publish(events.prefix(count), requests, acknowledge)
                try await publish(events.dropFirst(count), requests, acknowledge)
                continue
            }
            try await acknowledge(ids)
        }
    }

    /// Sends a request until it is answered, or ``retryFor`` is over.
    ///
    /// - Parameter count: How many ids to expect.
    private func retrying(
        _ request: Request, count: Int, on clock: some Clock<Duration>
    ) async throws -> [String] {
        let start = clock.now
        var backoff = Backoff(retry: Self.retryWaits.first, maximum: Self.retryWaits.longest)
        var random = SystemRandomNumberGenerator()
        while true {
            do { return try await send(request, count: count) } catch let error as HubError where error.isTransient {
                let passed = start.duration(to: clock.now)
                let wait = min(
                    backoff.next(least: error.retryAfter, using: &random), max(error.retryAfter, retryFor - passed))
                guard passed < retryFor, passed + wait <= retryFor else { throw error }
                onRetry?(error, passed)
                try await clock.sleep(for: wait)
            }
        }
    }

    /// The first wait between two attempts, and the longest that the hub does not ask for.
    private static let retryWaits = (first: Duration.milliseconds(100), longest: Duration.seconds(5))

    private func send(_ request: Request, count: Int) async throws -> [String] {
        var request = request
        request.headers.setBearer(try await token?())
        return try await HubExchange(timeout: timeout, clock: clock).response(to: request) {
            [interface] head, response in
            guard head.isSuccess else {
                let problem = try? await response.body.collect(upTo: Self.maximumProblemBytes)
                throw HubError(head, body: problem.map { Array($0.readableBytesView) } ?? [])
            }
            let text: String
            do {
                text = String(
                    buffer: try await response.body.collect(
                        upTo: min(count * Self.maximumIDBytes, Self.maximumAnswerBytes)))
            } catch is NIOTooManyBytesError {
                text = ""
            }
            let ids = text.utf8.split { $0 == 0x0A || $0 == 0x0D }.map { String(Substring($0)) }
            guard ids.count == count, interface == .mercure || head.isPlainText else {
                let kind = interface == .martlet ? "Martlet" : "Mercure"
                throw HubError(
                    .invalidAnswer, status: head.status, "The answer is not that of a \(kind) hub. Check the URL.")
            }
            return ids
        }
    }

    /// The most bytes that are read of a problem document.
    private static let maximumProblemBytes = 64 * 1024
    /// The largest id, and the largest answer: about twice the longest ids that a batch can have.
    private static let maximumIDBytes = 64 * 1024
    private static let maximumAnswerBytes = 2 * 1024 * 1024
}
