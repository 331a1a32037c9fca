// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if os(Linux)
import CLinux
#endif

/// How a hub behaves; every bound that is not the log's own, with its default.
public struct HubConfiguration: Sendable {
    /// The limits of what publishers and subscribers may ask for.
    public var limits = Limits()
    /// The limits of single clients, by principal and by address; none by default.
    public var clients = ClientLimits()
    /// The most bytes of frames that all feeds together hold in memory; a subscriber that is further behind reads history.
    public var windowBytes = 32 * 1024 * 1024
    /// The most bytes of frames that a shard may have to write before no more is read from the log; half the window where
    /// nothing else is set. A log that lives in this process holds back publishers then.
    public var maximumShardLag: Int {
        get { shardLag ?? windowBytes / 2 }
        set { shardLag = newValue }
    }
    private var shardLag: Int?
    /// How much a subscriber that catches up is given at once.
    public var slice = SliceLimit()
    /// The most slices of history that are on their way from the log to subscribers at the same time: being read, or not
    /// yet written as far as the subscribers' sockets take them.
    public var concurrentReads = 4
    /// The most bytes of history in memory for subscribers that catch up. Room for the slices that are on their way is part
    /// of it; the rest is for subscribers that cannot take all of theirs. A subscriber that finds no room re-reads later.
    ///
    /// A slice is larger than its limit where its only event is, or where its events are of very many lines.
    public var replayBytes = 16 * 1024 * 1024
    /// The most topics that have ended, expire, or have a writer of which the hub knows that. Beyond it, the topic that has
    /// changed least recently is forgotten. Its log has a bound of its own.
    public var rememberedTopics = TopicBook.defaultCapacity
    /// The most keys with a current value, over all topics. Beyond it, the oldest value is forgotten.
    public var stateKeys = 100_000
    /// The most bytes of current values, counted as ``Event/byteCount``. Beyond it, the oldest value is forgotten.
    public var stateBytes = 64 * 1024 * 1024
    /// The topics of which only the newest value of each key counts: a subscriber that lags, or catches up, passes over
    /// events of a key that a newer one has replaced.
    public var latestTopics: Set<TopicSelector> = []
    /// The topics whose subscribers do not read history when they fall out of the window: they receive a gap and go on with
    /// the newest events. A subscription goes on like this if all of its topics are among these, and its templates are the
    /// same as some of these. All others read history.
    public var skippedTopics: Set<TopicSelector> = []
    /// How long a publish or a subscription waits for a hub that is starting and cannot reach its log.
    public var startPatience = Duration.seconds(10)
    /// How often a stream that has nothing to say shows that it is alive.
    public var heartbeat = Duration.seconds(15)
    /// Each client is told a time from this range to wait before it reconnects, so that they do not all come at once.
    public var retry = Duration.seconds(1)...Duration.seconds(3)
    /// How long a client may take nothing of what is written to it before its connection is closed.
    public var writeTimeout = Duration.seconds(30)
    /// How old a connection may get. Its stream ends after between eight and ten tenths of it, and the client comes back;
    /// so that clients spread over new nodes, and nothing stays for ever.
    public var maximumConnectionAge = Duration.seconds(24 * 60 * 60)
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

/// Random numbers that need not be secret: splitmix64 by Steele, Lea and Flood (2014), which several threads share. The
/// generator of the system is a system call for each number.
private enum SharedRandom {
    private static let state = Atomic(UInt64.random(in: .min ... .max))

    /// From 0 up to 1.
    static func fraction() -> Double {
        var number = state.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue
        number = (number ^ (number >> 30)) &* 0xBF58_476D_1CE4_E5B9
        number = (number ^ (number >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((number ^ (number >> 31)) >> 11) / Double(1 << 53)
    }
}

extension Duration {
    /// A random duration, to spread what would happen at once.
    package static func random(in range: ClosedRange<Duration>) -> Duration {
        let span = (range.upperBound - range.lowerBound).milliseconds
        return range.lowerBound + .milliseconds(Int(Double(span) * SharedRandom.fraction()))
    }
}
