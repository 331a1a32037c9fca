// SPDX-License-Identifier: Apache-2.0

/// When a key set is fetched, and whether its keys may be used: a state machine without I/O.
///
/// Who gets ``Action/refresh`` or ``Action/useAndRefresh`` fetches, and tells how it went; until then nobody else is
/// asked to.
struct KeyRefresh<Instant: InstantProtocol>: Sendable where Instant.Duration == Duration {
    enum Action: Hashable {
        /// Judge by the keys as they are.
        case use
        /// The same, and fetch.
        case useAndRefresh
        /// Fetch, and ask again.
        case refresh
        /// Wait for the fetch that is under way, and ask again.
        case wait
        /// Nothing can be said before this time has passed.
        case refuse(retryAfter: Duration)
    }

    private let limits: KeySetLimits
    /// When the keys were fetched last. `nil`: there are none.
    private var loaded: Instant?
    private var failures = 0
    /// When the next attempt may be. `nil`: at once.
    private var nextAttempt: Instant?
    private var isFetching = false

    init(limits: KeySetLimits) { self.limits = limits }

    /// What to do about a token.
    ///
    /// - Parameters:
    ///   - isKnown: Whether the keys have one that the token may be signed with.
    ///   - hasWaited: Whether a fetch was waited for already.
    mutating func action(isKnown: Bool, hasWaited: Bool = false, at now: Instant) -> Action {
        let age = loaded.map { $0.duration(to: now) }
        guard let age, age < limits.maximumStaleness else { return refreshOrRefuse(at: now) }
        if isKnown {
            guard age >= limits.timeToLive, mayFetch(at: now) else { return .use }
            isFetching = true
            return .useAndRefresh
        }
        // A key that is not known may be a new one. Where the last attempt failed, nobody can tell.
        guard failures > 0 || !hasWaited && (isFetching || mayFetch(at: now)) else { return .use }
        return refreshOrRefuse(at: now)
    }

    mutating func succeeded(at now: Instant) {
        isFetching = false
        failures = 0
        loaded = now
        nextAttempt = now.advanced(by: limits.minimumInterval)
    }

    mutating func failed(at now: Instant) {
        isFetching = false
        var backOff = limits.firstBackOff
        for _ in 0..<min(failures, 62) where backOff < limits.maximumBackOff { backOff *= 2 }
        failures += 1
        nextAttempt = now.advanced(by: min(backOff, limits.maximumBackOff))
    }

    private mutating func refreshOrRefuse(at now: Instant) -> Action {
        if isFetching { return .wait }
        guard mayFetch(at: now) else {
            return .refuse(retryAfter: nextAttempt.map { now.duration(to: $0) } ?? .zero)
        }
        isFetching = true
        return .refresh
    }

    private func mayFetch(at now: Instant) -> Bool {
        !isFetching && nextAttempt.map { $0 <= now } ?? true
    }
}
