// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// What every ``Log`` promises, as checks to run against one.
///
///     @Test(.timeLimit(.minutes(1)), arguments: LogContract.checks + LogContract.retentionChecks)
///     func myLogKeepsTheContract(check: LogContract.Check<any Log>) async throws {
///         try await check.run { MyLog(keeping: check.events) }
///     }
///
/// Each check asks for a log of its own: empty, not opened yet, and keeping as many events as the check says. A log that
/// breaks the contract may keep a check waiting for ever, so give the test a time limit. No check waits for a time: what
/// a log does behind the scenes, such as removing events, is waited for by reading again, a bounded number of times.
///
/// What is not checked, because it cannot be brought about from outside: that a log keeps what it has accepted when the
/// machine dies, what it says of events that it has lost, and retention by bytes or by age.
public enum LogContract {
    /// One promise. ``name`` says which.
    public struct Check<Subject: Sendable>: Sendable, Identifiable, CustomStringConvertible {
        public let name: String
        /// How many events the log has to keep, whether or not they were tailed. In ``retentionChecks`` and where a
        /// ``RestartableLog`` is asked for, it has to keep little more: it may remove the oldest late and several at a
        /// time, but has to while events are appended.
        public let events: Int
        private let body: @Sendable (Subject) async throws -> Void

        init(_ name: String, keeping events: Int = 1000, _ body: @escaping @Sendable (Subject) async throws -> Void) {
            self.name = name
            self.events = events
            self.body = body
        }

        public var id: String { name }
        public var description: String { name }

        /// - Parameter make: Makes what is checked; called once.
        /// - Throws: ``ContractViolation`` when the promise is broken; else what the log throws.
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

    /// For every log: order, positions, slices, resuming, tailing and appending while all of history is there.
    public static let checks: [Check<any Log>] =
        positionChecks + readingChecks + resumingChecks + tailChecks + appendingChecks + textChecks + concurrencyChecks

    /// For every log: what it keeps and removes, and whom it tells of what was removed.
    ///
    /// Not checked: private events of several topics, and more topics than a log remembers, about which a log may tell
    /// somebody of a gap who has missed nothing.
    public static let retentionChecks: [Check<any Log>] = historyChecks + gapChecks + removedTextChecks

    /// For a log whose history outlives its instances: everything that was acknowledged is there after a clean close and
    /// after a crash, and everything that was handed out before leads to the same place.
    ///
    /// Not checked: that a log still knows after a crash that a topic has missed nothing.
    public static let restartChecks: [Check<RestartableLog>] = RestartableLog.Ending.allCases.flatMap(restartChecks)

    /// For logs that can tell their positions from those of another log: each check asks for two that share nothing.
    public static let epochChecks: [Check<[any Log]>] = foreignChecks

    /// For a log that nodes share: each check asks for two nodes or more of one log.
    public static let sharedChecks: [Check<[any Log]>] = nodeChecks
}
