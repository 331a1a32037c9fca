// SPDX-License-Identifier: Apache-2.0

/// The first bytes of the data of a published event, which identify each subscriber's copy.
///
/// As text: `m1 <run> <sequence> <time> `, with decimal numbers.
package struct EventMark: Equatable, Sendable {
    /// Tells the events of this run from those of others on the same stream.
    var run: UInt32
    /// Counts the events of a run from 0.
    var sequence: UInt64
    /// The time of sending, as ``MonotonicTime``.
    var sentAt: UInt64

    /// The most bytes of a mark.
    package static let longest = 3 + 11 + 21 + 21

    var text: String {
        "m1 \(run) \(sequence) \(sentAt) "
    }
}

/// Reads the mark at the start of a line of data, byte by byte: an ``EventMark``, or `ts=<time>`, which servers can send
/// that push without being published to.
struct MarkScanner: Equatable, Sendable {
    /// The mark at the start of a line of data.
    enum Mark: Equatable, Sendable {
        /// There is no mark.
        case none
        /// The time of sending, as ``MonotonicTime``.
        case time(UInt64)
        case event(EventMark)
    }

    private enum State: UInt8 {
        case start, m, m1, run, sequence, sentAt, t, ts, time, event, timed, unknown
    }

    private var state = State.start
    private var hasDigits = false
    private var number: UInt64 = 0
    private var run: UInt32 = 0
    private var sequence: UInt64 = 0

    /// Whether the rest of the line is irrelevant.
    var isDone: Bool { state.rawValue >= State.event.rawValue }

    /// The mark of the line. It is valid at the end of the line.
    var mark: Mark {
        switch state {
        case .event: .event(EventMark(run: run, sequence: sequence, sentAt: number))
        case .timed: .time(number)
        case .time where hasDigits: .time(number)
        default: .none
        }
    }

    mutating func scan(_ byte: UInt8) {
        switch (state, byte) {
        case (.start, UInt8(ascii: "m")): state = .m
        case (.m, UInt8(ascii: "1")): state = .m1
        case (.m1, UInt8(ascii: " ")): state = .run
        case (.start, UInt8(ascii: "t")): state = .t
        case (.t, UInt8(ascii: "s")): state = .ts
        case (.ts, UInt8(ascii: "=")): state = .time
        case (.run, _), (.sequence, _), (.sentAt, _), (.time, _): scanNumber(byte)
        default: state = .unknown
        }
    }

    private mutating func scanNumber(_ byte: UInt8) {
        let digit = byte &- UInt8(ascii: "0")
        if digit <= 9 {
            let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(UInt64(digit))
            number = sum
            hasDigits = true
            if overflow || carry { state = .unknown }
        } else if state == .time, hasDigits {
            state = .timed
        } else if hasDigits, byte == UInt8(ascii: " ") {
            endNumber()
        } else {
            state = .unknown
        }
    }

    private mutating func endNumber() {
        switch state {
        case .run:
            state = number <= UInt32.max ? .sequence : .unknown
            run = UInt32(truncatingIfNeeded: number)
        case .sequence:
            state = .sentAt
            sequence = number
        default:
            // The number stays, because it is the time.
            state = .event
            return
        }
        number = 0
        hasDigits = false
    }
}
