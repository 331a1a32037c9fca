// SPDX-License-Identifier: Apache-2.0

import MartletMetrics
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import Martlet

@Suite("What a hub counts")
struct HubMetricsTests {
    private let registry = PrometheusRegistry()

    /// The samples that begin with one of the names.
    private func samples(_ names: String...) -> [String] {
        registry.render().split(separator: "\n").map(String.init).filter { line in names.contains(where: line.hasPrefix)
        }
    }

    @Test("Streams, what they were written, and why they ended")
    func streams() async throws {
        try await withHub(base: .with { $0.writeTimeout = .seconds(30) }, metrics: registry) { hub in
            let first = try await SinkClient(hub, .of("news"))
            let second = try await SinkClient(hub, .of("news"), loop: first.loop)
            try await hub.publish(numbers: 0..<3, to: "news")
            try await first.read { $0.events.count == 3 }
            try await second.read { $0.events.count == 3 }
            hub.updateGauges()
            #expect(samples("martlet_streams ", "martlet_feeds ") == ["martlet_feeds 1", "martlet_streams 2"])
            #expect(samples("martlet_events_published") == ["martlet_events_published_total 3"])
            #expect(samples("martlet_deliveries") == ["martlet_deliveries_total 6"])
            let bytes = first.text.utf8.count + second.text.utf8.count
            #expect(samples("martlet_delivered_bytes") == ["martlet_delivered_bytes_total \(bytes)"])
            #expect(samples("martlet_delivery_lag_seconds_count").count == 1)

            try await first.setWritable(false)
            let slow = #"martlet_streams_closed_total{reason="slow"} "#
            // The shard looks for slow clients twice a second, and reading above has moved the time between two looks.
            await first.loop.advanceTime(by: .seconds(31))
            try await second.close()
            #expect(samples("martlet_streams_opened") == ["martlet_streams_opened_total 2"])
            #expect(samples(slow) == [slow + "1"])
            #expect(samples(#"martlet_streams_closed_total{reason="client"}"#).first?.hasSuffix(" 1") == true)
            #expect(samples(#"martlet_streams_closed_total{reason="drained"}"#).first?.hasSuffix(" 0") == true)
        }
    }

    @Test("Replayed events are counted, and none of them stays in memory")
    func replays() async throws {
        try await withHub(windowBytes: 1, metrics: registry) { hub in
            try await hub.publish(numbers: 0..<5, to: "news")
            let shard = SimulatedShard(hub, seed: 1)
            shard.network.isKind = true
            let subscription = try await hub.subscribe(to: .of("news"), after: "earliest")
            let (socket, _) = shard.open(subscription, framing: .plain)
            while !String(decoding: shard.network.sockets[socket]?.received ?? [], as: UTF8.self).contains("data: 4") {
                shard.pass()
                try await Task.step()
            }
            #expect(shard.sinks.tally.replayed == 5)
            hub.updateGauges()
            #expect(samples("martlet_replay_bytes ") == ["martlet_replay_bytes 0"])
        }
    }

    @Test("Refusals by status and reason, of which only so many are told apart")
    func refusals() async throws {
        try await withHub(metrics: registry) { hub in
            #expect(samples(#"martlet_refusals_total{reason="overloaded""#).first?.hasSuffix(" 0") == true)
            hub.refused(status: 503, reason: "overloaded")
            #expect(samples(#"martlet_refusals_total{reason="overloaded""#).first?.hasSuffix(" 1") == true)
            let known = samples("martlet_refusals_total").count
            for number in known..<100 { hub.refused(status: 400, reason: "reason_\(number)") }
            #expect(samples("martlet_refusals_total").count == 100)
            #expect(samples(#"martlet_refusals_total{reason="other""#).isEmpty)
            for number in 0..<3 { hub.refused(status: 400, reason: "more_\(number)") }
            hub.refused(status: 503, reason: "overloaded")
            #expect(samples("martlet_refusals_total").count == 101)
            #expect(samples(#"martlet_refusals_total{reason="other""#).first?.hasSuffix(" 3") == true)
            #expect(samples(#"martlet_refusals_total{reason="overloaded""#).first?.hasSuffix(" 2") == true)
        }
    }

    @Test("History, publishes, and what is replayed in bytes")
    func history() async throws {
        try await withHub(windowBytes: 1, metrics: registry) { hub in
            try await hub.publish(numbers: 0..<5, to: "news")
            _ = try? await hub.publish("1", to: Topic("/.well-known/mercure/x"))
            let shard = SimulatedShard(hub, seed: 1)
            shard.network.isKind = true
            let (socket, _) = shard.open(
                try await hub.subscribe(to: .of("news"), after: "earliest"), framing: .plain)
            while !String(decoding: shard.network.sockets[socket]?.received ?? [], as: UTF8.self).contains("data: 4") {
                shard.pass()
                try await Task.step()
            }
            #expect(shard.sinks.tally.replayedBytes == shard.network.sockets[socket]?.received.count)
            hub.updateGauges()
            #expect(samples("martlet_history_events ") == ["martlet_history_events 5"])
            #expect(samples("martlet_replay_reads ") == ["martlet_replay_reads 0"])
            #expect(samples("martlet_publish_duration_seconds_count ") == ["martlet_publish_duration_seconds_count 5"])
        }
    }

    @Test("Gaps by their reason")
    func gaps() async throws {
        try await withHub(metrics: registry) { hub in
            _ = try await hub.subscribe(to: .of("news"), after: "rubbish")
            #expect(samples(#"martlet_gaps_total{reason="unknown"}"#).first?.hasSuffix(" 1") == true)
        }
    }
}
