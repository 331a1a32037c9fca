// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Logging
import MartletHTTP
import MartletOutgoing
import MartletSupport
import Synchronization

/// Asks the application, and caches its answers. Equal requests at the same time share one question.
final class ForwardClient<C: Clock>: Sendable where C.Duration == Duration {
    private struct State {
        var answers: GenerationCache<ForwardKey, Result<Grant, Problem>, C.Instant>
        var asking: [ForwardKey: Task<Result<Grant, Problem>, Never>] = [:]
        /// Counts the calls of ``forget(_:)``.
        var forgotten = 0
        /// When a failure was last logged as a warning.
        var warned: C.Instant?
    }

    /// The shortest time between two warnings. Failures between them are logged at the level `debug`.
    private static var warningInterval: Duration { .seconds(1) }

    private let state: Mutex<State>
    private let limits: ForwardLimits
    private let clock: C
    private let logger: Logger
    private let now: @Sendable () -> Date

    init(limits: ForwardLimits, clock: C, logger: Logger, now: @escaping @Sendable () -> Date = { Date() }) {
        state = Mutex(State(answers: GenerationCache(capacity: limits.maximumAnswers)))
        self.limits = limits
        self.clock = clock
        self.logger = logger
        self.now = now
    }

    func answer(to question: OutgoingRequest, key: ForwardKey) async -> Result<Grant, Problem> {
        let (known, task) = state.withLock { state -> (Result<Grant, Problem>?, Task<Result<Grant, Problem>, Never>?) in
            for (byURI, byAddress) in [(false, false), (true, false), (false, true), (true, true)] {
                let key = key.reduced(byURI: byURI, byAddress: byAddress)
                if let answer = state.answers.value(for: key, at: clock.now) { return (answer, nil) }
            }
            if let task = state.asking[key] { return (nil, task) }
            guard state.asking.count < limits.maximumQuestions else { return (nil, nil) }
            let task = Task { await ask(question, key: key) }
            state.asking[key] = task
            return (nil, task)
        }
        if let known { return known }
        return await task?.value ?? .failure(unavailable)
    }

    /// Drops the cached answers for a principal. Answers to earlier questions that arrive later are not cached.
    func forget(_ principal: String) {
        state.withLock { state in
            state.forgotten += 1
            state.answers.removeAll { (try? $0.get())?.principal?.isExactly(principal) == true }
        }
    }

    private func ask(_ question: OutgoingRequest, key: ForwardKey) async -> Result<Grant, Problem> {
        let asked = clock.now
        let forgotten = state.withLock { $0.forgotten }
        do {
            let answer = try ForwardAnswer(try await question.send(), limits: limits, now: now())
            state.withLock { state in
                state.asking[key] = nil
                guard answer.age > .zero, state.forgotten == forgotten else { return }
                let key = key.reduced(byURI: answer.variesByURI, byAddress: answer.variesByAddress)
                state.answers.store(answer.result, for: key, until: asked.advanced(by: answer.age))
            }
            return answer.result
        } catch {
            let now = clock.now
            let isFirst = state.withLock { state in
                state.asking[key] = nil
                if let warned = state.warned, warned.duration(to: now) < Self.warningInterval { return false }
                state.warned = now
                return true
            }
            logger.log(
                level: isFirst ? .warning : .debug, "The application did not say what the client may do.",
                metadata: ["error": "\(error)"])
            return .failure(unavailable)
        }
    }

    private var unavailable: Problem {
        .unavailable(
            "The application could not be asked what you may do. Try again later.", retryAfter: limits.retryAfter)
    }
}

/// The key of a cached answer: digests (SHA-256), so that the credentials themselves are not kept.
struct ForwardKey: Hashable, Sendable {
    private let credentials: [UInt8]
    /// `nil`: any URI.
    private var uri: [UInt8]?
    /// `nil`: any address of the client.
    private var address: [UInt8]?

    init(purpose: String, authorization: [String], cookies: [String], uri: String, address: String) {
        var hash = SHA256()
        // Counts and lengths keep different lists from having equal bytes.
        for list in [[purpose], authorization, cookies] {
            hash.update(data: Data("\(list.count) ".utf8))
            for text in list { hash.update(data: Data("\(text.utf8.count) \(text)".utf8)) }
        }
        credentials = Array(hash.finalize())
        self.uri = Array(SHA256.hash(data: Data(uri.utf8)))
        self.address = Array(SHA256.hash(data: Data(address.utf8)))
    }

    /// The key of answers that do not depend on all of the request.
    func reduced(byURI: Bool, byAddress: Bool) -> ForwardKey {
        var key = self
        if !byURI { key.uri = nil }
        if !byAddress { key.address = nil }
        return key
    }
}

/// A cache with a bound on the number of values and an end for each of them. It drops the values that were stored first.
///
/// It has two generations. When the younger one is full, the older one is dropped as a whole, so there is no search for
/// what to drop. At least half of the capacity stays in use.
struct GenerationCache<Key: Hashable & Sendable, Value: Sendable, Instant: InstantProtocol>: Sendable {
    private var young: [Key: (value: Value, end: Instant)] = [:]
    private var old: [Key: (value: Value, end: Instant)] = [:]
    private let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    var count: Int { young.count + old.count }

    func value(for key: Key, at now: Instant) -> Value? {
        guard let entry = young[key] ?? old[key], now < entry.end else { return nil }
        return entry.value
    }

    mutating func removeAll(where isGone: (Value) -> Bool) {
        young = young.filter { !isGone($0.value.value) }
        old = old.filter { !isGone($0.value.value) }
    }

    mutating func store(_ value: Value, for key: Key, until end: Instant) {
        guard capacity > 0 else { return }
        if young[key] == nil, young.count >= max(1, capacity / 2) {
            old = capacity > 1 ? young : [:]
            young = [:]
        }
        old[key] = nil
        young[key] = (value, end)
    }
}
