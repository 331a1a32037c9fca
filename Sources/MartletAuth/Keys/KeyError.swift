// SPDX-License-Identifier: Apache-2.0

/// Why something cannot be used as a key. It never contains the key.
public struct KeyError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// The secret is shorter than its algorithm allows.
        public static let secretTooShort = Code(description: "secretTooShort")
        /// The text is no key, or one of a kind that no algorithm here takes.
        public static let unusable = Code(description: "unusable")
        /// The key is not one for the algorithm.
        public static let wrongAlgorithm = Code(description: "wrongAlgorithm")
        /// A key set cannot be read: not JSON, no keys, or too many.
        public static let malformedSet = Code(description: "malformedSet")
        /// Signing needs a secret or a private key, and this is a public one.
        public static let notPrivate = Code(description: "notPrivate")
    }

    public let code: Code
    /// What is wrong and what to do.
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
