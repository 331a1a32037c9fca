// SPDX-License-Identifier: Apache-2.0

@testable import Martlet

extension Mark {
    /// The mark of a log whose positions are integers.
    static func at(_ number: UInt64) -> Mark {
        Mark(sequence: SequenceNumber(rawValue: number), position: .at(number))
    }
}

extension Position {
    static func at(_ number: UInt64) -> Position { Position(checked: "\(number)") }

    /// ``Log/covers(_:_:)`` of that log.
    static func covers(_ a: Position, _ b: Position) -> Bool {
        b == .earliest || (UInt64(a.text) ?? 0) >= UInt64(b.text) ?? 0 && a != .earliest
    }
}

extension Feed.Entry {
    static func at(_ number: UInt64, data: String = "") -> Feed.Entry {
        let event = Event(topic: "news", data: data)
        let record = Record(position: .at(number), event: event)
        return Feed.Entry(sequence: SequenceNumber(rawValue: number), frame: Frame(record))
    }
}

extension Step: CustomStringConvertible {
    public var description: String {
        switch self {
        case .deliver(let entries, let mark, let isLast):
            let numbers = entries.map(\.frame.record.position.text).joined(separator: " ")
            return "deliver \(numbers), stand at \(mark)\(isLast ? ", the last" : "")"
        case .replay(let position, let mark): return "replay after \(position) through \(mark)"
        case .skip(let mark): return "skip to \(mark)"
        case .caughtUp(let mark): return "caught up at \(mark)"
        case .finished(let mark): return "finished at \(mark)"
        case .values(let values, let next, _): return "\(values.count) values, then \(next)"
        case .ahead: return "ahead"
        }
    }
}

extension Mark: CustomStringConvertible {
    public var description: String { position.text }
}
