// SPDX-License-Identifier: Apache-2.0

/// How a key set is fetched and for how long it is used.
public struct KeySetLimits: Hashable, Sendable {
    /// Age from which the keys are fetched again, while they go on being used.
    public var timeToLive = Duration.seconds(300)
    /// Time between two fetches at least, however many tokens name keys that are not known.
    public var minimumInterval = Duration.seconds(10)
    /// Age up to which the keys are used while no newer ones can be had.
    public var maximumStaleness = Duration.seconds(86_400)
    /// Time after the first failure before the next attempt. It doubles with each failure.
    public var firstBackOff = Duration.seconds(1)
    public var maximumBackOff = Duration.seconds(60)
    /// Time that one fetch may take, and so a request that needs it.
    public var timeout = Duration.seconds(5)
    /// The largest key set.
    public var maximumBytes = 256 * 1024

    public init() {}

    /// For a set in a file, which costs next to nothing to look at: a change shows within a second.
    public static var file: KeySetLimits {
        var limits = KeySetLimits()
        limits.timeToLive = .seconds(1)
        limits.minimumInterval = .seconds(1)
        limits.maximumBackOff = .seconds(1)
        return limits
    }
}
