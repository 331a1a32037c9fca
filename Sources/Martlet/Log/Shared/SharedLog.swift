// SPDX-License-Identifier: Apache-2.0

/// A log on a server that several nodes share.
///
/// Opening it waits for the server. While that is away later, appending throws `storageFailed`, the tail waits, and both go
/// on where they were when it is back.
package protocol SharedLog: Log {
    var health: SharedLogHealth { get }
}

/// How a node does with a log that is elsewhere.
package struct SharedLogHealth: Equatable, Sendable {
    /// Whether the server has answered when it was asked last.
    package var isReachable: Bool
    /// By how much the newest event that this node has read is older than the newest of which it knows. Zero where it is
    /// that one, however old.
    package var lag: Duration
    /// How many times the server was away.
    package var losses: Int
    /// How many entries were skipped that are no events.
    package var skipped: Int

    package init(isReachable: Bool, lag: Duration, losses: Int, skipped: Int) {
        self.isReachable = isReachable
        self.lag = lag
        self.losses = losses
        self.skipped = skipped
    }
}

/// The server of a log does not answer, or not now. It is asked again.
package struct LogUnreachable: Error, CustomStringConvertible {
    /// Why, without credentials.
    package let description: String
    /// Whether what was sent may have been accepted all the same: only its answer is missing.
    package let mayHaveAccepted: Bool

    package init(_ description: String, mayHaveAccepted: Bool = false) {
        self.description = description
        self.mayHaveAccepted = mayHaveAccepted
    }
}

extension MartletError {
    /// - Parameter mayHaveAccepted: Whether it is not known that nothing was published.
    package static func logUnreachable(mayHaveAccepted: Bool = false) -> MartletError {
        MartletError(
            .storageFailed,
            mayHaveAccepted
                ? "The log did not answer, so that it is not known whether this was published. Try again later, with an "
                    + "Idempotency-Key where nothing must be published twice."
                : "The log cannot be reached. Try again later.")
    }

    package static let logOverloaded = MartletError(
        .overloaded, "The log is slower than what is asked of it. Nothing was done; try again later, or ask less.")
    package static let logNotOpen = MartletError(.notRunning, "The log is not open. Try again later.")
}
