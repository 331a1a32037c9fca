// SPDX-License-Identifier: Apache-2.0

/// What is wrong with the configuration of who may do what.
public struct PolicyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The part at fault, from the root `$`: `$.roles.support.publish[0]`.
    public let path: String
    /// What is wrong and what to do.
    public let message: String

    init(_ path: String, _ message: String) {
        self.path = path
        self.message = message
    }

    public var description: String { "\(path): \(message)" }
}
