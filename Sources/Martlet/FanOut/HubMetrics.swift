// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Metrics
import Synchronization

/// The metrics of a hub. None has a topic or a client as a label, so their number does not grow with use.
final class HubMetrics: Sendable {
    private let published: Counter
    private let overloaded: Counter
    private let refused: Counter
    private let opened: Counter
    private let deliveries: Counter
    private let deliveredBytes: Counter
    private let replayed: Counter
    /// From reading an event from the log to writing it to the subscribers of one shard.
    private let deliveryLag: Timer
    private let streams: Gauge
    private let sockets: Gauge
    private let feeds: Gauge
    private let windowBytes: Gauge
    private let windowCapacity: Gauge
    private let shardLag: Gauge
    private let replayBytes: Gauge
    private let log: LogMetrics?
    private let closed: [StreamEnd: Counter]
    private let gaps: [Gap.Reason: Counter]

    /// - Parameter hasSharedLog: Whether the log is on a server.
    init(_ factory: any MetricsFactory, hasSharedLog: Bool = false) {
        func counter(_ name: String, _ dimensions: [(String, String)] = []) -> Counter {
            Counter(label: "martlet_\(name)", dimensions: dimensions, factory: factory)
        }
        func gauge(_ name: String) -> Gauge {
            Gauge(label: "martlet_\(name)", dimensions: [], factory: factory)
        }
        published = counter("events_published")
        overloaded = counter("publishes_overloaded")
        refused = counter("connections_refused")
        opened = counter("streams_opened")
        deliveries = counter("deliveries")
        deliveredBytes = counter("delivered_bytes")
        replayed = counter("replayed_events")
        deliveryLag = Timer(label: "martlet_delivery_lag", dimensions: [], factory: factory)
        streams = gauge("streams")
        sockets = gauge("streams_on_shards")
        feeds = gauge("feeds")
        windowBytes = gauge("window_bytes")
        windowCapacity = gauge("window_capacity_bytes")
        shardLag = gauge("shard_lag_bytes")
        replayBytes = gauge("replay_bytes")
        log = hasSharedLog ? LogMetrics(factory) : nil
        closed = Dictionary(
            uniqueKeysWithValues: StreamEnd.allCases.map {
                ($0, counter("streams_closed", [("reason", $0.rawValue)]))
            })
        gaps = Dictionary(
            uniqueKeysWithValues: Gap.Reason.allCases.map { ($0, counter("gaps", [("reason", $0.rawValue)])) })
    }

    struct Levels {
        var streams: Int
        var sockets: Int
        var feeds: Int
        var windowBytes: Int
        var shardLag: Int
        var replayBytes: Int
    }

    func record(_ levels: Levels, windowCapacity: Int) {
        streams.record(levels.streams)
        sockets.record(levels.sockets)
        feeds.record(levels.feeds)
        windowBytes.record(levels.windowBytes)
        self.windowCapacity.record(windowCapacity)
        shardLag.record(levels.shardLag)
        replayBytes.record(levels.replayBytes)
    }

    /// - Parameter before: How it was when this was called last.
    func record(_ health: SharedLogHealth, before: SharedLogHealth?) { log?.record(health, before: before) }

    func published(_ count: Int) { published.increment(by: count) }
    func overloaded(_ count: Int) { overloaded.increment(by: count) }
    func connectionRefused() { refused.increment() }
    func streamOpened() { opened.increment() }
    /// - Parameter replayed: How many of the events came from history.
    func delivered(_ count: Int, replayed: Int = 0, bytes: Int) {
        deliveries.increment(by: count)
        self.replayed.increment(by: replayed)
        deliveredBytes.increment(by: bytes)
    }
    /// A shard has written what this node has since then, and nothing older is left.
    func delivered(since time: ContinuousClock.Instant) { deliveryLag.record(duration: .now - time) }
    func streamClosed(_ reason: StreamEnd) { closed[reason]?.increment() }
    func gap(_ reason: Gap.Reason) { gaps[reason]?.increment() }
}

/// How a node does with a log on a server.
private struct LogMetrics: Sendable {
    private let isReachable: Gauge
    private let lag: Gauge
    private let losses: Counter
    private let skipped: Counter

    init(_ factory: any MetricsFactory) {
        isReachable = Gauge(label: "martlet_log_reachable", dimensions: [], factory: factory)
        lag = Gauge(label: "martlet_log_lag_seconds", dimensions: [], factory: factory)
        losses = Counter(label: "martlet_log_losses", dimensions: [], factory: factory)
        skipped = Counter(label: "martlet_log_entries_skipped", dimensions: [], factory: factory)
    }

    func record(_ health: SharedLogHealth, before: SharedLogHealth?) {
        isReachable.record(health.isReachable ? 1 : 0)
        lag.record(health.lag / .seconds(1))
        losses.increment(by: health.losses - (before?.losses ?? 0))
        skipped.increment(by: health.skipped - (before?.skipped ?? 0))
    }
}
