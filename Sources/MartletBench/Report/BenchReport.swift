// SPDX-License-Identifier: Apache-2.0

import Histogram
import MartletOutgoing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The result of a run. As JSON it is one object whose keys are the names here, without what was not measured.
package struct BenchReport: Encodable, Sendable {
    struct Subscribers: Encodable, Equatable, Sendable {
        let requested: Int
        /// The number that the server has answered with a stream, and their rate.
        let connected: Int
        let connectedPerSecond: Double
        /// The number that were refused, not answered in time, or answered with something else.
        let failed: Int
        /// The number of connected ones that the server has closed.
        let closed: Int
    }

    struct Deliveries: Encodable, Equatable, Sendable {
        let count: Int
        let perSecond: Double
        let bytesPerSecond: Double
    }

    /// The time from sending an event to reading it, in microseconds.
    struct Latency: Encodable, Equatable, Sendable {
        let count: Int
        let p50: Double
        let p90: Double
        let p99: Double
        let max: Double
    }

    /// The events of the whole run. The rate is that of measuring.
    struct Published: Encodable, Equatable, Sendable {
        let sent: Int
        /// The number answered with a 2xx status, and their rate while measuring.
        let accepted: Int
        let acceptedPerSecond: Double
        let refused: Int
        let unanswered: Int
        /// Deliveries of accepted events that did not arrive in time at connected subscribers, or that a later event
        /// overtook for good.
        let lost: Int
        let duplicated: Int
        let outOfOrder: Int
    }

    struct Server: Encodable, Equatable, Sendable {
        /// The share of one core.
        let cpuPercent: Double
        let cpuMicrosecondsPerDelivery: Double?
        /// The growth of resident memory from before the first subscriber until after the last, divided by their number.
        let residentBytesPerSubscriber: Int?
    }

    struct Generator: Encodable, Equatable, Sendable {
        /// The share of one core.
        let cpuPercent: Double
        let cpuMicrosecondsPerDelivery: Double?
    }

    /// The differences of clocks and counters between the start and the end of measuring.
    struct Measurement: Sendable {
        var seconds: Double
        /// The processor time of the generator.
        var ownSeconds: Double
        var server: (start: ProcessUsage, end: ProcessUsage)?
        /// The number of events that the server accepted.
        var accepted: Int
    }

    let url: String
    /// The duration of measuring.
    let seconds: Double
    let subscribers: Subscribers
    let deliveries: Deliveries
    private(set) var latencyMicroseconds: Latency?
    private(set) var published: Published?
    private(set) var server: Server?
    let generator: Generator
    /// Reasons to doubt the numbers, a sentence each.
    private(set) var notes: [String] = []

    /// - Parameters:
    ///   - record: `nil` if the run did not publish.
    ///   - lost: The number of deliveries that were missing at the end.
    ///   - memory: The server's resident bytes before and after the subscribers connected.
    init(
        plan: BenchPlan,
        tally: BenchTally,
        connectSeconds: Double,
        measurement: Measurement,
        record: PublishRecord?,
        publishFailure: BenchError?,
        lost: Int?,
        memory: (before: Int, after: Int)?,
        wasInterrupted: Bool
    ) {
        let seconds = max(measurement.seconds, 1e-9)
        let count = tally.deliveries
        func perDelivery(_ cpu: Double) -> Double? {
            count > 0 ? (cpu * 1e6 / Double(count)).rounded(to: 3) : nil
        }
        url = plan.target.text
        self.seconds = seconds.rounded(to: 3)
        subscribers = Subscribers(
            requested: plan.subscribers,
            connected: tally.connected,
            connectedPerSecond: (Double(tally.connected) / max(connectSeconds, 1e-9)).rounded(to: 1),
            failed: tally.failed,
            closed: tally.closed
        )
        deliveries = Deliveries(
            count: count,
            perSecond: (Double(count) / seconds).rounded(to: 1),
            bytesPerSecond: (Double(tally.bytes) / seconds).rounded(to: 0)
        )
        latencyMicroseconds = Latency(tally.latency)
        if let record {
            published = Published(
                sent: Int(record.sent),
                accepted: record.accepted,
                acceptedPerSecond: (Double(measurement.accepted) / seconds).rounded(to: 1),
                refused: record.refused,
                unanswered: record.unanswered + record.pending,
                lost: lost ?? 0,
                duplicated: tally.duplicated,
                outOfOrder: tally.outOfOrder
            )
        }
        if let (start, end) = measurement.server {
            let cpu = end.userSeconds + end.systemSeconds - start.userSeconds - start.systemSeconds
            server = Server(
                cpuPercent: (cpu / seconds * 100).rounded(to: 1),
                cpuMicrosecondsPerDelivery: perDelivery(cpu),
                residentBytesPerSubscriber: memory.map { ($0.after - $0.before) / max(tally.connected, 1) }
            )
        }
        generator = Generator(
            cpuPercent: (measurement.ownSeconds / seconds * 100).rounded(to: 1),
            cpuMicrosecondsPerDelivery: perDelivery(measurement.ownSeconds)
        )
        notes = notes(plan, tally, record, publishFailure, wasInterrupted)
    }

    /// The report as one line of JSON.
    package var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }

    private func notes(
        _ plan: BenchPlan,
        _ tally: BenchTally,
        _ record: PublishRecord?,
        _ publishFailure: BenchError?,
        _ wasInterrupted: Bool
    ) -> [String] {
        var notes: [String] = []
        if wasInterrupted { notes.append("The run was interrupted.") }
        if let failure = tally.firstFailure {
            notes.append("\(tally.failed + tally.closed) subscribers failed or were closed; the first: \(failure).")
        }
        if tally.deliveries == 0 {
            notes.append("No event arrived while it was measured.")
        } else if let record, record.accepted > 0, tally.recognized == 0 {
            notes.append(
                "No event that arrived was published by this run, so all count as lost; they may be at another URL."
            )
        }
        if let status = record?.firstRefusal {
            notes.append("The server refused events, the first with status \(status).")
        }
        if let publishFailure { notes.append("Publishing was disturbed; the first time: \(publishFailure).") }
        if let asked = plan.publishing?.rate, let published, published.acceptedPerSecond < 0.95 * Double(asked) {
            let rate = published.acceptedPerSecond.fixed(1)
            notes.append("The server accepted only \(rate) of \(asked) events a second.")
        }
        if plan.serverProcess != nil, server == nil { notes.append("The server process has ended.") }
        if generator.cpuPercent > 90 {
            notes.append("The generator used more than 90 % of its core; latencies and rates may be its own.")
        }
        return notes
    }
}

extension BenchReport.Latency {
    /// - Returns: `nil` if nothing was recorded.
    fileprivate init?(_ histogram: Histogram<UInt64>) {
        guard histogram.totalCount > 0 else { return nil }
        func percentile(_ percent: Double) -> Double {
            (Double(histogram.valueAtPercentile(percent)) / 1000).rounded(to: 1)
        }
        self.init(
            count: Int(histogram.totalCount),
            p50: percentile(50),
            p90: percentile(90),
            p99: percentile(99),
            max: percentile(100)
        )
    }
}
