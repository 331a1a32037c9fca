// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

/// Hears whether a fetch of a key set has succeeded. Called from any task; must not block.
public typealias FetchObserver = @Sendable (_ succeeded: Bool) -> Void

/// A key set that is fetched when a token needs it. It may be used from any task.
final class KeySetSource<C: Clock>: Sendable where C.Duration == Duration {
    private struct State {
        var refresh: KeySetRefresh<C.Instant>
        var keys: KeySet?
        /// The current fetch, or the last one.
        var fetch: Task<Void, Never>?
    }

    private let state: Mutex<State>
    private let clock: C
    private let logger: Logger
    private let fetch: @Sendable () async throws -> KeySet?
    private let onFetch: FetchObserver?

    /// - Parameters:
    ///   - onFetch: Hears of each fetch.
    ///   - fetch: Returns the keys; `nil`: they have not changed. It must keep to the timeout of the limits.
    init(
        limits: KeySetLimits, clock: C, logger: Logger, onFetch: FetchObserver? = nil,
        fetch: @escaping @Sendable () async throws -> KeySet?
    ) {
        state = Mutex(State(refresh: KeySetRefresh(limits: limits)))
        self.clock = clock
        self.logger = logger
        self.fetch = fetch
        self.onFetch = onFetch
    }

    /// The keys that may have signed a token.
    ///
    /// - Throws: ``TokenRefusal`` of code `unknownKey`, or ``KeysUnavailable``.
    func keys(for header: TokenHeader) async throws -> [VerificationKey] {
        for hasWaited in [false, true] {
            switch try find(header, hasWaited: hasWaited) {
            case .keys(let keys): return keys
            case .later(let fetch): await fetch?.value
            }
        }
        throw KeysUnavailable(retryAfter: .seconds(1))
    }

    /// The same at once; `nil` if a fetch has to be waited for, which has begun then.
    func keysNow(for header: TokenHeader) throws -> [VerificationKey]? {
        if case .keys(let keys) = try find(header, hasWaited: false) { keys } else { nil }
    }

    private enum Found {
        case keys([VerificationKey])
        /// After this fetch.
        case later(Task<Void, Never>?)
    }

    private func find(_ header: TokenHeader, hasWaited: Bool) throws -> Found {
        let (action, keys, fetch) = state.withLock { state in
            let keys = state.keys?.keys(for: header)
            let action = state.refresh.action(isKnown: keys != nil, hasWaited: hasWaited, at: clock.now)
            if action == .refresh || action == .useAndRefresh { state.fetch = Task { await refresh() } }
            return (action, keys, state.fetch)
        }
        switch action {
        case .use, .useAndRefresh:
            guard let keys else { throw TokenRefusal.unknownKey(header) }
            return .keys(keys)
        case .refuse(let retryAfter): throw KeysUnavailable(retryAfter: retryAfter)
        case .refresh, .wait: return .later(fetch)
        }
    }

    /// Fetches the keys if there are none.
    ///
    /// - Throws: ``KeysUnavailable``.
    func load() async throws {
        do { _ = try await keys(for: TokenHeader(algorithm: .es256)) } catch is TokenRefusal {}
    }

    private func refresh() async {
        let result: Result<KeySet?, any Error>
        do { result = .success(try await fetch()) } catch { result = .failure(error) }
        state.withLock { state in
            switch result {
            case .success(let keys):
                state.keys = keys ?? state.keys
                state.refresh.succeeded(at: clock.now)
            case .failure: state.refresh.failed(at: clock.now)
            }
        }
        if case .success = result { onFetch?(true) } else { onFetch?(false) }
        if case .failure(let error) = result {
            logger.warning("The key set could not be fetched.", metadata: ["error": "\(error)"])
        }
    }
}

extension TokenRefusal {
    static func unknownKey(_ header: TokenHeader) -> TokenRefusal {
        header.keyID == nil
            ? TokenRefusal(
                .unknownKey, "The key set has no key for \(header.algorithm), with which the token is signed.")
            : TokenRefusal(
                .unknownKey,
                "The key set has no key for \(header.algorithm) with the kid that the header of the token names.")
    }
}

/// Decides when to fetch a key set, and whether its keys may be used: a state machine without I/O.
///
/// A caller that gets ``Action/refresh`` or ``Action/useAndRefresh`` must fetch the set, and report the result. Until
/// then, no other caller gets these actions.
struct KeySetRefresh<Instant: InstantProtocol>: Sendable where Instant.Duration == Duration {
    enum Action: Hashable {
        /// Use the keys as they are.
        case use
        /// Use the keys as they are, and fetch new ones.
        case useAndRefresh
        /// Fetch the keys, and call again.
        case refresh
        /// Wait for the current fetch, and call again.
        case wait
        /// The keys are not available before this time has passed.
        case refuse(retryAfter: Duration)
    }

    private let limits: KeySetLimits
    /// When the keys were last fetched; `nil`: there are none.
    private var loaded: Instant?
    private var failures = 0
    /// When the next attempt may start; `nil`: now.
    private var nextAttempt: Instant?
    private var isFetching = false

    init(limits: KeySetLimits) { self.limits = limits }

    /// What to do with a token.
    ///
    /// - Parameters:
    ///   - isKnown: Whether there is a key that may have signed the token.
    ///   - hasWaited: Whether the caller has already waited for a fetch.
    mutating func action(isKnown: Bool, hasWaited: Bool = false, at now: Instant) -> Action {
        let age = loaded.map { $0.duration(to: now) }
        guard let age, age < limits.maximumStaleness else { return refreshOrRefuse(at: now) }
        if isKnown {
            guard age >= limits.timeToLive, mayFetch(at: now) else { return .use }
            isFetching = true
            return .useAndRefresh
        }
        // An unknown key may be a new one. If the last attempt failed, this cannot be decided.
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

/// When a key set is fetched, and how long it is used.
public struct KeySetLimits: Hashable, Sendable {
    /// The age after which the keys are fetched again. They stay in use meanwhile.
    public var timeToLive = Duration.seconds(300)
    /// The shortest time between two fetches, even if tokens name unknown keys.
    public var minimumInterval = Duration.seconds(10)
    /// The age after which the keys are no longer used, if fetching new ones fails.
    public var maximumStaleness = Duration.seconds(86_400)
    /// The time between the first failure and the next attempt. It doubles with each failure.
    public var firstBackOff = Duration.seconds(1)
    /// The longest time between a failure and the next attempt.
    public var maximumBackOff = Duration.seconds(60)
    /// The time that one fetch may take. A request that needs the keys waits for it.
    public var timeout = Duration.seconds(5)
    /// The largest key set, in bytes.
    public var maximumBytes = 256 * 1024

    public init() {}

    /// The limits for a set in a file, which is cheap to check: a change is noticed within a second.
    public static var file: KeySetLimits {
        var limits = KeySetLimits()
        limits.timeToLive = .seconds(1)
        limits.minimumInterval = .seconds(1)
        limits.maximumBackOff = .seconds(1)
        return limits
    }
}
