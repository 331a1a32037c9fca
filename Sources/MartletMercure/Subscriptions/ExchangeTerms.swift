// SPDX-License-Identifier: Apache-2.0

/// How nodes tell each other who is subscribed; every bound that is not the board's own, with its default. All nodes
/// should have the same.
public struct ExchangeTerms: Hashable, Sendable {
    /// How often a node looks for what the others have posted, and posts what has changed on its own.
    public var interval = Duration.seconds(1)
    /// How long after its last sign of life the subscriptions of a node count as ended. A sign of life is given three
    /// times in that time, or with each interval.
    public var expiry = Duration.seconds(10)
    /// The most other nodes that are listened to. The subscriptions of more are not known.
    public var nodes = 100
    /// How many bytes a node posts in a second on average: one with so many subscriptions that they are more bytes than
    /// that tells of changes later.
    public var bytesPerSecond = 4 * 1024 * 1024

    public init() {}
}
