// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import CLinux
#endif

/// How a hub behaves; every bound that is not the log's own, with its default.
public struct HubConfiguration: Sendable {
    /// What publishers and subscribers may ask for.
    public var limits = Limits()
    /// The most bytes of frames that all feeds together hold in memory; a subscriber that is further behind reads history.
    public var windowBytes = 32 * 1024 * 1024
    /// How much a subscriber that catches up is given at once.
    public var slice = SliceLimit()
    /// The most slices of history that are read from the log at the same time.
    public var concurrentReads = 4
    /// How often a stream that has nothing to say shows that it is alive.
    public var heartbeat = Duration.seconds(15)
    /// Each client is told a time from this range to wait before it reconnects, so that they do not all come at once.
    public var retry = Duration.seconds(1)...Duration.seconds(3)
    /// How long a client may take nothing of what is written to it before its connection is closed.
    public var writeTimeout = Duration.seconds(30)
    /// How many threads write to clients; by default one for each processor that this process may use. 0: clients are
    /// written to from the event loops of their connections, as they are everywhere but on Linux.
    public var shards = HubConfiguration.processorCount
    /// How long the streams take to end when the hub drains, one after the other.
    public var grace = Duration.seconds(8)

    public init() {}

    #if os(Linux)
    private static var processorCount: Int { Int(martlet_processor_count()) }
    #else
    private static var processorCount: Int { 0 }
    #endif
}

extension Duration {
    static func random(in range: ClosedRange<Duration>) -> Duration {
        let span = range.upperBound - range.lowerBound
        return range.lowerBound + span * Double.random(in: 0...1)
    }
}
