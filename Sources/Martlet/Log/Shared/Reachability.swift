// SPDX-License-Identifier: Apache-2.0

package import Logging
import Synchronization

/// Whether the server of a log answers, told once when that changes.
package final class Reachability: Sendable {
    private struct State {
        /// Since when the server is away; `nil`: it is there.
        var awaySince: ContinuousClock.Instant? = .now
        /// What was said last of why it is away.
        var reason: String?
        var hasAnswered = false
        var losses = 0
    }

    private let server: String
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameters:
    ///   - server: How the server is called in what is logged; without credentials.
    package init(of server: String, logger: Logger) {
        self.server = server
        self.logger = logger
    }

    package var isReachable: Bool { state.withLock { $0.awaySince == nil } }
    package var losses: Int { state.withLock { $0.losses } }

    /// Whether the server is away for longer than this, so that nobody needs to wait for it.
    package func isAway(longerThan time: Duration) -> Bool {
        state.withLock { $0.awaySince.map { .now - $0 > time } ?? false }
    }

    package func answered() {
        let time: Duration? = state.withLock { state in
            defer {
                state.awaySince = nil
                state.reason = nil
                state.hasAnswered = true
            }
            return state.awaySince.map { .now - $0 }
        }
        if let time {
            logger.notice("The log is there.", metadata: ["server": "\(server)", "after": "\(time)"])
        }
    }

    package func failed(_ error: any Error) {
        let reason = "\(error)"
        let (isNew, wasThere) = state.withLock { state in
            let isNew = state.reason != reason
            let wasThere = state.awaySince == nil
            if wasThere { state.losses += 1 }
            state.awaySince = state.awaySince ?? .now
            state.reason = reason
            return (isNew, wasThere || !state.hasAnswered)
        }
        guard isNew else { return }
        logger.log(
            level: wasThere ? .error : .warning, "The log cannot be reached; trying again.",
            metadata: ["server": "\(server)", "reason": "\(reason)"])
    }
}
