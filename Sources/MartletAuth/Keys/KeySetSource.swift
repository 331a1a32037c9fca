// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

/// A key set that is fetched when it is needed, and used by many at once.
final class KeySetSource<C: Clock>: Sendable where C.Duration == Duration {
    private struct State {
        var refresh: KeyRefresh<C.Instant>
        var keys: KeySet?
        /// The fetch that is under way, or the last one.
        var fetch: Task<Void, Never>?
    }

    private let state: Mutex<State>
    private let clock: C
    private let logger: Logger
    private let fetch: @Sendable () async throws -> KeySet?

    /// - Parameter fetch: Gets the keys; `nil`: they are what they were. It does not take longer than the limits say.
    init(limits: KeySetLimits, clock: C, logger: Logger, fetch: @escaping @Sendable () async throws -> KeySet?) {
        state = Mutex(State(refresh: KeyRefresh(limits: limits)))
        self.clock = clock
        self.logger = logger
        self.fetch = fetch
    }

    /// The keys that may have signed a token.
    ///
    /// - Throws: ``TokenRefusal`` of code `unknownKey`, or ``KeysUnavailable``.
    func keys(for header: TokenHeader) async throws -> [VerificationKey] {
        for hasWaited in [false, true] {
            let (action, keys, fetch) = state.withLock { state in
                let keys = state.keys?.keys(for: header)
                let action = state.refresh.action(isKnown: keys != nil, hasWaited: hasWaited, at: clock.now)
                if action == .refresh || action == .useAndRefresh { state.fetch = Task { await refresh() } }
                return (action, keys, state.fetch)
            }
            switch action {
            case .use, .useAndRefresh:
                guard let keys else { throw TokenRefusal.unknownKey(header) }
                return keys
            case .refuse(let retryAfter): throw KeysUnavailable(retryAfter: retryAfter)
            case .refresh, .wait: await fetch?.value
            }
        }
        throw KeysUnavailable(retryAfter: .seconds(1))
    }

    /// Fetches the keys where there are none.
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
