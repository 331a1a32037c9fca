// SPDX-License-Identifier: Apache-2.0

import Histogram

/// The sums over all subscribers of a run.
struct BenchTally: Sendable {
    typealias Published = (run: UInt32, count: UInt64)

    /// Two days in nanoseconds.
    static let longestLatency: UInt64 = 2 * 86_400 * 1_000_000_000

    /// Subscribers that the server has answered with a stream.
    var connected = 0
    /// Subscribers that have failed before that.
    var failed = 0
    /// Connected subscribers whose stream the server has ended.
    var closed = 0
    /// The reason of the first subscriber that failed or was closed.
    var firstFailure: String?
    /// The time of the latest stream that the server has answered with.
    var lastConnected: UInt64 = 0

    /// Events received while measuring.
    private(set) var deliveries = 0
    /// Bytes received while measuring, including HTTP.
    var bytes = 0
    /// The times from sending to receiving of all events that were sent while measuring.
    /// They are in nanoseconds, to two digits. A longer time counts as ``longestLatency``.
    private(set) var latency = Histogram<UInt64>(
        highestTrackableValue: longestLatency, numberOfSignificantValueDigits: .two)
    /// Events received in the whole run that it has published.
    private(set) var recognized = 0
    /// Events received more than once in the whole run.
    private(set) var duplicated = 0
    /// Events received after a later one in the whole run.
    private(set) var outOfOrder = 0

    /// Whether received events are counted.
    private(set) var isMeasuring = false
    private var measured: Range<UInt64> = .max..<UInt64.max

    mutating func beginMeasuring(at time: UInt64) {
        isMeasuring = true
        measured = time..<UInt64.max
    }

    mutating func endMeasuring(at time: UInt64) {
        isMeasuring = false
        measured = measured.lowerBound..<time
    }

    /// Counts an event that a subscriber has received.
    ///
    /// - Parameters:
    ///   - published: The run of the marks and the number of events sent, if the run publishes. Then events of others are
    ///     not measured.
    ///   - ledger: The ledger of the subscriber.
    mutating func receive(
        _ mark: MarkScanner.Mark, at time: UInt64, published: Published?, ledger: inout SequenceLedger
    ) {
        if isMeasuring { deliveries += 1 }
        switch mark {
        case .none:
            break
        case .time(let sent):
            if published == nil { record(sent: sent, received: time) }
        case .event(let mark):
            guard let published else { return record(sent: mark.sentAt, received: time) }
            // A server can send any number.
            guard mark.run == published.run, mark.sequence < published.count else { break }
            record(sent: mark.sentAt, received: time)
            recognized += 1
            switch ledger.record(mark.sequence) {
            case .next: break
            case .outOfOrder: outOfOrder += 1
            case .duplicate: duplicated += 1
            }
        }
    }

    private mutating func record(sent: UInt64, received: UInt64) {
        if measured.contains(sent), received >= sent { latency.record(min(received - sent, Self.longestLatency)) }
    }
}
