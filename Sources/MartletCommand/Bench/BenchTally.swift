// SPDX-License-Identifier: Apache-2.0

/// What the subscribers of a run have seen together.
struct BenchTally: Sendable {
    typealias Published = (run: UInt32, count: UInt64)

    /// Subscribers that the server has answered with a stream.
    var connected = 0
    /// Subscribers that it has not.
    var failed = 0
    /// Connected subscribers whose stream the server has ended.
    var closed = 0
    /// Why a subscriber has failed or was closed first.
    var firstFailure: String?
    /// When the latest subscriber was answered.
    var lastConnected: UInt64 = 0

    /// Events received while measuring.
    private(set) var deliveries = 0
    /// Bytes received while measuring, with those of HTTP.
    var bytes = 0
    /// The time from sending to receiving of the events that were sent while measuring, whenever they arrive.
    private(set) var latency = LatencyHistogram()
    /// Events of the whole run that were published in it.
    private(set) var recognized = 0
    /// Events of the whole run that came again.
    private(set) var duplicated = 0
    /// Events of the whole run that came after a later one.
    private(set) var outOfOrder = 0

    /// Whether what is received is counted.
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
    ///   - published: What this run's marks have, and how many events were sent, if it publishes. The events of others
    ///     are not measured then.
    ///   - ledger: That of the subscriber.
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
            // A server may make up any number.
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
        if measured.contains(sent), received >= sent { latency.record(received - sent) }
    }
}
