// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// The contract of every ``/Martlet/Log``, as checks to run against your own implementation.
///
///     @Test(.timeLimit(.minutes(1)), arguments: LogContract.checks + LogContract.retentionChecks)
///     func myLogKeepsTheContract(check: LogContract.Check<any Log>) async throws {
///         try await check.run { MyLog(keeping: check.events) }
///     }
///
/// Each check needs its own log: empty, not opened yet, and with the retention that the check asks for. A log that breaks
/// the contract may block a check for ever, so give the test a time limit. No check sleeps: to wait for background work,
/// such as removing events, it reads again, a bounded number of times.
///
/// Not checked, because a test cannot cause it from outside: that a log keeps accepted events when the machine fails, how
/// it reports events that it has lost, and retention by bytes or by age.
public enum LogContract {
    /// One promise of the contract.
    public struct Check<Subject: Sendable>: Sendable, Identifiable, CustomStringConvertible {
        /// The promise, as a sentence.
        public let name: String
        /// The number of events that the log must keep, whether or not they were tailed. For ``retentionChecks`` and for
        /// checks of a ``RestartableLog``, it must keep few more: it may remove the oldest events late and several at a
        /// time, but it must do so while events are appended.
        public let events: Int
        private let body: @Sendable (Subject) async throws -> Void

        init(_ name: String, keeping events: Int = 1000, _ body: @escaping @Sendable (Subject) async throws -> Void) {
            self.name = name
            self.events = events
            self.body = body
        }

        public var id: String { name }
        public var description: String { name }

        /// Runs the check.
        ///
        /// - Parameter make: Makes the subject of the check; called once.
        /// - Throws: ``ContractViolation`` if the promise is broken; otherwise the error of the log.
        public func run(_ make: () async throws -> Subject) async throws {
            let subject = try await make()
            do {
                try await body(subject)
            } catch var violation as ContractViolation {
                violation.check = name
                throw violation
            }
        }
    }

    /// For every log: order, positions, slices, resuming, tailing and appending, while history is complete.
    public static let checks: [Check<any Log>] =
        positionChecks + readingChecks + resumingChecks + tailChecks + appendingChecks + textChecks + concurrencyChecks
        + presentChecks

    /// For a log on which nodes agree at once which topics have ended, and who writes to them.
    public static let endChecks: [Check<any Log>] = endingLogChecks

    /// For every log: which events it keeps and removes, and which readers it tells about removed events.
    ///
    /// Not checked: private events with several topics, and more topics than a log remembers. There, a log may report a
    /// gap to a reader that has missed nothing.
    public static let retentionChecks: [Check<any Log>] = historyChecks + gapChecks + removedTextChecks

    /// For a log whose history outlives its instances: acknowledged events survive a clean close and a crash, and positions
    /// and ids from before lead to the same place.
    ///
    /// Not checked: that a log still knows after a crash which topics have no removed events.
    public static let restartChecks: [Check<RestartableLog>] = RestartableLog.Ending.allCases.flatMap {
        restartChecks($0) + presentRestartChecks($0)
    }

    /// For logs that can tell their positions from those of another log. Each check needs two logs that share nothing.
    public static let epochChecks: [Check<[any Log]>] = foreignChecks

    /// For a log that nodes share. Each check needs at least two nodes of one log.
    public static let sharedChecks: [Check<[any Log]>] = nodeChecks
}

/// A log or a board breaks its contract.
public struct ContractViolation: Error, Hashable, Sendable, CustomStringConvertible {
    /// The name of the check that failed.
    public package(set) var check = ""
    /// What the check has seen.
    public let message: String

    package init(_ message: String) { self.message = message }

    public var description: String { check.isEmpty ? message : "\(check): \(message)" }
}

package func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    guard condition else { throw ContractViolation(message()) }
}
