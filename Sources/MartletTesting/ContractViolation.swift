// SPDX-License-Identifier: Apache-2.0

/// A promise is broken.
public struct ContractViolation: Error, Hashable, Sendable, CustomStringConvertible {
    /// The name of the check that found out.
    public internal(set) var check = ""
    /// What was seen.
    public let message: String

    init(_ message: String) { self.message = message }

    public var description: String { check.isEmpty ? message : "\(check): \(message)" }
}

func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    guard condition else { throw ContractViolation(message()) }
}
