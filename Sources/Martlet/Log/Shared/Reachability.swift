// SPDX-License-Identifier: Apache-2.0

public import Logging
import Synchronization

/// The server of a log does not answer, or cannot do its work at the moment. The log tries again.
public struct LogUnreachable: Error, CustomStringConvertible {
    /// The reason, without credentials.
    public let description: String
    /// Whether the server may have accepted what was sent: only its answer is missing.
    public let mayHaveAccepted: Bool

    public init(_ description: String, mayHaveAccepted: Bool = false) {
        self.description = description
        self.mayHaveAccepted = mayHaveAccepted
    }
}

/// Whether the server of a log answers. Logs each change once.
///
/// All methods may be called from any thread.
public final class Reachability: Sendable {
    private struct State {
        /// Since when the server is away; `nil` while it answers.
        var awaySince: ContinuousClock.Instant? = .now
        /// The reason that was logged last.
        var reason: String?
        var hasAnswered = false
        var losses = 0
    }

    private let server: String
    private let logger: Logger
    private let state = Mutex(State())

    /// The server counts as away until ``answered()``.
    ///
    /// - Parameter server: The name of the server in log messages, without credentials.
    public init(of server: String, logger: Logger) {
        self.server = server
        self.logger = logger
    }

    public var isReachable: Bool { state.withLock { $0.awaySince == nil } }
    /// How many times the server went away.
    public var losses: Int { state.withLock { $0.losses } }

    /// Whether the server has been away for longer than a duration, so that waiting for it is of no use.
    public func isAway(longerThan time: Duration) -> Bool {
        state.withLock { $0.awaySince.map { .now - $0 > time } ?? false }
    }

    /// The server has answered.
    public func answered() {
        let time: Duration? = state.withLock { state in
            defer {
                state.awaySince = nil
                state.reason = nil
                state.hasAnswered = true
            }
            return state.awaySince.map { .now - $0 }
        }
        if let time {
            logger.notice("The server of the log answers.", metadata: ["server": "\(server)", "after": "\(time)"])
        }
    }

    /// The server has not answered, for this reason.
    public func failed(_ error: any Error) {
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

/// How long to wait before the next attempt to reach a server.
///
/// The bound doubles with each failure, up to a maximum. The wait is a random part of it, at least half, so that nodes
/// do not return together. A value.
public struct RetryDelay: Sendable {
    private let range: ClosedRange<Duration>
    private var bound: Duration

    /// - Parameter range: The first and the greatest bound.
    public init(_ range: ClosedRange<Duration>) {
        self.range = range
        bound = range.lowerBound
    }

    /// An attempt has succeeded, so the next wait is short again.
    public mutating func succeeded() { bound = range.lowerBound }

    /// The time to wait now, after a failure.
    public mutating func next() -> Duration {
        var random = SystemRandomNumberGenerator()
        return next(using: &random)
    }

    package mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        defer { bound = min(bound * 2, range.upperBound) }
        return bound * Double.random(in: 0.5...1, using: &random)
    }
}
