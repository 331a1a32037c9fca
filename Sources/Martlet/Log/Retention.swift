// SPDX-License-Identifier: Apache-2.0

/// How much history a log keeps. Whichever bound is reached first removes the oldest events.
public struct Retention: Hashable, Sendable {
    /// The most events.
    public var events: Int
    /// The most bytes, counted as ``Event/byteCount``.
    public var bytes: Int
    /// The greatest age.
    public var age: Duration

    public init(events: Int = 100_000, bytes: Int = 64 * 1024 * 1024, age: Duration = .seconds(24 * 60 * 60)) {
        self.events = events
        self.bytes = bytes
        self.age = age
    }
}
