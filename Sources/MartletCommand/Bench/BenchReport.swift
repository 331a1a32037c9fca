// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What a run has measured. As JSON it is one object whose keys are the names here; what was not measured is absent.
struct BenchReport: Encodable, Sendable {
    struct Subscribers: Encodable, Equatable, Sendable {
        let requested: Int
        /// How many the server has answered with a stream, and how many of them a second.
        let connected: Int
        let connectedPerSecond: Double
        /// How many were refused, not answered in time, or answered with something else.
        let failed: Int
        /// How many of the connected ones the server has closed.
        let closed: Int
    }

    struct Deliveries: Encodable, Equatable, Sendable {
        let count: Int
        let perSecond: Double
        let bytesPerSecond: Double
    }

    /// From sending an event to reading it, in microseconds.
    struct Latency: Encodable, Equatable, Sendable {
        let count: Int
        let p50: Double
        let p90: Double
        let p99: Double
        let max: Double
    }

    /// Of the whole run, but for the rate.
    struct Published: Encodable, Equatable, Sendable {
        let sent: Int
        /// How many were answered with a 2xx status, and how many of them a second while measuring.
        let accepted: Int
        let acceptedPerSecond: Double
        let refused: Int
        let unanswered: Int
        /// Deliveries of accepted events that did not arrive in time at subscribers that were still connected, or that
        /// a later event overtook for good.
        let lost: Int
        let duplicated: Int
        let outOfOrder: Int
    }

    struct Server: Encodable, Equatable, Sendable {
        /// The share of one core.
        let cpuPercent: Double
        let cpuMicrosecondsPerDelivery: Double?
        /// By how much the resident memory grew from before the first subscriber until after the last, for each of
        /// them.
        let residentBytesPerSubscriber: Int?
    }

    struct Generator: Encodable, Equatable, Sendable {
        /// The share of one core.
        let cpuPercent: Double
        let cpuMicrosecondsPerDelivery: Double?
    }

    /// What was read from clocks and counters at the two ends of measuring.
    struct Measurement: Sendable {
        var seconds: Double
        /// The processor time of the generator.
        var ownSeconds: Double
        var server: (start: ProcessUsage, end: ProcessUsage)?
        /// How many events the server accepted.
        var accepted: Int
    }

    let url: String
    /// How long was measured.
    let seconds: Double
    let subscribers: Subscribers
    let deliveries: Deliveries
    private(set) var latencyMicroseconds: Latency?
    private(set) var published: Published?
    private(set) var server: Server?
    let generator: Generator
    /// What to know before one believes the numbers, a sentence each.
    private(set) var notes: [String] = []

    /// - Parameters:
    ///   - record: nil if the run did not publish.
    ///   - lost: How many deliveries were missing at the end.
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
    var json: String {
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
                "No event that arrived begins with what was published, so all count as lost; another URL may have them."
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
    /// - Returns: nil if nothing was recorded.
    fileprivate init?(_ histogram: LatencyHistogram) {
        func microseconds(_ share: Double) -> Double? {
            histogram.percentile(share).map { (Double($0) / 1000).rounded(to: 1) }
        }
        guard let p50 = microseconds(0.5), let p90 = microseconds(0.9), let p99 = microseconds(0.99) else { return nil }
        self.init(
            count: Int(histogram.count),
            p50: p50,
            p90: p90,
            p99: p99,
            max: (Double(histogram.maximum) / 1000).rounded(to: 1)
        )
    }
}
