// SPDX-License-Identifier: Apache-2.0

/// What a job throws to say to those who watch it why it failed. Of any other error they hear nothing.
public struct JobFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public let message: String

    public init(_ message: String) { self.message = message }

    public var description: String { message }
}
