// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import MartletHTTP

/// Whether a token is good cannot be said now, since the keys cannot be had.
public struct KeysUnavailable: Error, Hashable, Sendable, CustomStringConvertible {
    /// After how long it is worth trying again.
    public let retryAfter: Duration

    public var description: String { "The keys that verify tokens cannot be had now. Try again later." }

    /// The answer: 503 with `Retry-After`.
    public var problem: Problem { .unavailable(description, retryAfter: retryAfter) }
}

extension Problem {
    /// In seconds: a year.
    private static let longestRetryAfter = 31_536_000.0

    static func unavailable(_ detail: String, retryAfter: Duration) -> Problem {
        let seconds = Int(max(1, min((retryAfter / .seconds(1)).rounded(.up), longestRetryAfter)))
        return Problem(.serviceUnavailable, detail, headers: [.retryAfter: "\(seconds)"])
    }
}
