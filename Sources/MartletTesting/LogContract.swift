// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// What every ``Log`` promises, as checks to run against one.
///
///     @Test(.timeLimit(.minutes(1)), arguments: LogContract.checks)
///     func myLogKeepsTheContract(check: LogContract.Check<any Log>) async throws {
///         try await check.run { MyLog() }
///     }
///
/// Each check asks for a log of its own: empty, not opened yet, and large enough for 1 000 events that nobody has
/// tailed. A log that breaks the contract may keep a check waiting for ever, so give the test a time limit. What a log
/// does when its retention removes events is not checked; it cannot be brought about from outside.
public enum LogContract {
    /// One promise. ``name`` says which.
    public struct Check<Subject: Sendable>: Sendable, Identifiable, CustomStringConvertible {
        public let name: String
        private let body: @Sendable (Subject) async throws -> Void

        init(_ name: String, _ body: @escaping @Sendable (Subject) async throws -> Void) {
            self.name = name
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

    /// For every log.
    public static let checks: [Check<any Log>] =
        positionChecks + readingChecks + resumingChecks + tailChecks + appendingChecks

    /// For a log that nodes share: each check asks for two nodes or more of one log.
    public static let sharedChecks: [Check<[any Log]>] = nodeChecks
}
