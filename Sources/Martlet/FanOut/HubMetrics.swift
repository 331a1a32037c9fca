// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import Metrics

/// The metrics of a hub. None has a topic or a client as a label, so their number does not grow with use.
final class HubMetrics: Sendable {
    private let published: Counter
    private let overloaded: Counter
    private let refusedConnections: Counter
    private let opened: Counter
    private let deliveries: Counter
    private let deliveredBytes: Counter
    private let replayed: Counter
    private let replayedBytes: Counter
    private let publishDuration: Timer
    /// From reading an event from the log to writing it to the subscribers of one shard.
    private let deliveryLag: Timer
    private let streams: Gauge
    private let sockets: Gauge
    private let feeds: Gauge
    private let windowBytes: Gauge
    private let windowCapacity: Gauge
    private let shardLag: Gauge
    private let replayBytes: Gauge
    private let replayReads: Gauge
    private let replayReadsWaiting: Gauge
    private let stateKeys: Gauge
    private let stateBytes: Gauge
    private let stateForgotten: Counter
    private let rememberedTopics: Gauge
    private let topicsForgotten: Counter
    private let log: LogMetrics?
    private let history: HistoryMetrics?
    private let refusals: RefusalMetrics
    private let closed: [StreamEnd: Counter]
    private let clientsRefused: [ClientLimit: Counter]
    private let gaps: [Gap.Reason: Counter]

    /// - Parameter eventLog: The log of the hub.
    init(_ factory: any MetricsFactory, eventLog: any Log) {
        func counter(_ name: String, _ dimensions: [(String, String)] = []) -> Counter {
            Counter(label: "martlet_\(name)", dimensions: dimensions, factory: factory)
        }
        func gauge(_ name: String) -> Gauge {
            Gauge(label: "martlet_\(name)", dimensions: [], factory: factory)
        }
        published = counter("events_published")
        overloaded = counter("publishes_overloaded")
        refusedConnections = counter("connections_refused")
        opened = counter("streams_opened")
        deliveries = counter("deliveries")
        deliveredBytes = counter("delivered_bytes")
        replayed = counter("replayed_events")
        replayedBytes = counter("replayed_bytes")
        publishDuration = Timer(label: "martlet_publish_duration", dimensions: [], factory: factory)
        deliveryLag = Timer(label: "martlet_delivery_lag", dimensions: [], factory: factory)
        streams = gauge("streams")
        sockets = gauge("streams_on_shards")
        feeds = gauge("feeds")
        windowBytes = gauge("window_bytes")
        windowCapacity = gauge("window_capacity_bytes")
        shardLag = gauge("shard_lag_bytes")
        replayBytes = gauge("replay_bytes")
        replayReads = gauge("replay_reads")
        replayReadsWaiting = gauge("replay_reads_waiting")
        stateKeys = gauge("state_keys")
        stateBytes = gauge("state_bytes")
        stateForgotten = counter("state_forgotten")
        rememberedTopics = gauge("remembered_topics")
        topicsForgotten = counter("topics_forgotten")
        log = eventLog is any SharedLog ? LogMetrics(factory) : nil
        history = eventLog is any MeasuredLog ? HistoryMetrics(factory) : nil
        refusals = RefusalMetrics(factory)
        closed = Dictionary(
            uniqueKeysWithValues: StreamEnd.allCases.map {
                ($0, counter("streams_closed", [("reason", $0.rawValue)]))
            })
        clientsRefused = Dictionary(
            uniqueKeysWithValues: ClientLimit.allCases.map {
                ($0, counter("clients_refused", [("reason", $0.rawValue)]))
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
        var replayReads: Int
        var replayReadsWaiting: Int
        var stateKeys: Int
        var stateBytes: Int
        var rememberedTopics: Int
    }

    func record(_ levels: Levels, windowCapacity: Int) {
        streams.record(levels.streams)
        sockets.record(levels.sockets)
        feeds.record(levels.feeds)
        windowBytes.record(levels.windowBytes)
        self.windowCapacity.record(windowCapacity)
        shardLag.record(levels.shardLag)
        replayBytes.record(levels.replayBytes)
        replayReads.record(levels.replayReads)
        replayReadsWaiting.record(levels.replayReadsWaiting)
        stateKeys.record(levels.stateKeys)
        stateBytes.record(levels.stateBytes)
        rememberedTopics.record(levels.rememberedTopics)
    }

    /// - Parameter before: How it was when this was called last.
    func record(_ health: SharedLogHealth, before: SharedLogHealth?) { log?.record(health, before: before) }

    func record(_ size: (events: Int, bytes: Int)) { history?.record(size) }

    func published(_ count: Int) { published.increment(by: count) }
    /// The log has accepted or refused events that it was given then.
    func published(since time: ContinuousClock.Instant) { publishDuration.record(duration: .now - time) }
    func overloaded(_ count: Int) { overloaded.increment(by: count) }
    func connectionRefused() { refusedConnections.increment() }
    func clientRefused(_ limit: ClientLimit) { clientsRefused[limit]?.increment() }
    func streamOpened() { opened.increment() }
    /// A request was refused.
    func refused(status: Int, reason: String) { refusals.add(status: status, reason: reason) }
    /// - Parameters:
    ///   - replayed: How many of the events came from history.
    ///   - replayedBytes: How many of the bytes did.
    func delivered(_ count: Int, replayed: Int = 0, bytes: Int, replayedBytes: Int = 0) {
        deliveries.increment(by: count)
        self.replayed.increment(by: replayed)
        self.replayedBytes.increment(by: replayedBytes)
        deliveredBytes.increment(by: bytes)
    }
    /// A shard has written what this node has since then, and nothing older is left.
    func delivered(since time: ContinuousClock.Instant) { deliveryLag.record(duration: .now - time) }
    func streamClosed(_ reason: StreamEnd) { closed[reason]?.increment() }
    func forgotten(values: Int, topics: Int) {
        stateForgotten.increment(by: values)
        topicsForgotten.increment(by: topics)
    }
    func gap(_ reason: Gap.Reason) { gaps[reason]?.increment() }
}
