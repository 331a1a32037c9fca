// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import MartletHTTP
import MartletSupport
import Synchronization

/// Asks the application, once for those who ask the same at the same time, and remembers what it answered.
final class ForwardSource<C: Clock>: Sendable where C.Duration == Duration {
    private struct State {
        var answers: GenerationCache<ForwardKey, Result<Grant, Problem>, C.Instant>
        var asking: [ForwardKey: Task<Result<Grant, Problem>, Never>] = [:]
        /// How often answers were forgotten.
        var forgotten = 0
        /// When a failure was last logged so that it is seen.
        var warned: C.Instant?
    }

    /// Time between two warnings at least, while every request fails; those between are for debugging.
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

    /// Forgets what the application said of a principal. What it was asked before and says after is not remembered.
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
                level: isFirst ? .warning : .debug, "The application did not say who may do this.",
                metadata: ["error": "\(error)"])
            return .failure(unavailable)
        }
    }

    private var unavailable: Problem {
        .unavailable(
            "The application could not be asked who may do this. Try again later.", retryAfter: limits.retryAfter)
    }
}
