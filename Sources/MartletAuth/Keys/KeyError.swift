// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import MartletHTTP

/// The reason why a text cannot be used as a key. It never contains the text.
public struct KeyError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// The secret is shorter than its algorithm allows.
        public static let secretTooShort = Code(description: "secretTooShort")
        /// The text is no key, or a kind of key that no algorithm here takes.
        public static let unusable = Code(description: "unusable")
        /// The key is not for the algorithm.
        public static let wrongAlgorithm = Code(description: "wrongAlgorithm")
        /// The key set cannot be read: it is not JSON, or has no keys or too many.
        public static let malformedSet = Code(description: "malformedSet")
        /// Signing needs a secret or a private key, and this is a public key.
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

/// A token cannot be verified now, because the key set cannot be fetched.
public struct KeysUnavailable: Error, Hashable, Sendable, CustomStringConvertible {
    /// When to try again.
    public let retryAfter: Duration

    public var description: String { "The keys that verify tokens are not available now. Try again later." }

    /// The answer: 503 with `Retry-After`.
    public var problem: Problem { .unavailable(description, retryAfter: retryAfter) }
}

extension Problem {
    /// A year, in seconds.
    private static let longestRetryAfter = 31_536_000.0

    static func unavailable(_ detail: String, retryAfter: Duration) -> Problem {
        let seconds = Int(max(1, min((retryAfter / .seconds(1)).rounded(.up), longestRetryAfter)))
        return Problem(.serviceUnavailable, detail, headers: [.retryAfter: "\(seconds)"])
    }
}
