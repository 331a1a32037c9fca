// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import MartletSupport

/// The id of an entry, such as `1700000000000-0`: milliseconds since 1970, and the number within the millisecond.
struct StreamID: Comparable, Hashable, Sendable, CustomStringConvertible {
    var milliseconds: UInt64
    var number: UInt64

    static let zero = StreamID(milliseconds: 0, number: 0)

    init(milliseconds: UInt64, number: UInt64) {
        self.milliseconds = milliseconds
        self.number = number
    }

    /// `nil` unless the text is an id as the server writes it: without signs and leading zeros.
    init?(_ text: some StringProtocol) {
        guard let (milliseconds, number) = text.cutExactly(at: UInt8(ascii: "-")),
            let milliseconds = Self.number(milliseconds), let number = Self.number(number)
        else { return nil }
        self.init(milliseconds: milliseconds, number: number)
    }

    private static func number(_ digits: some StringProtocol) -> UInt64? {
        guard digits.utf8.allSatisfy(\.isDigit), digits.utf8.count == 1 || digits.utf8.first != UInt8(ascii: "0")
        else { return nil }
        return UInt64(digits)
    }

    /// When the entry was added, by the clock of the server.
    var time: WallTime { WallTime(milliseconds: Int64(clamping: milliseconds)) }

    /// The greatest id in front of a millisecond.
    static func before(milliseconds: UInt64) -> StreamID {
        milliseconds == 0 ? .zero : StreamID(milliseconds: milliseconds - 1, number: .max)
    }

    var description: String { "\(milliseconds)-\(number)" }

    static func < (a: StreamID, b: StreamID) -> Bool {
        (a.milliseconds, a.number) < (b.milliseconds, b.number)
    }
}

/// A position of a ``RedisLog``, written `k3v9x2ma-1700000000000-0`: the epoch, and the id of an entry.
struct StreamPlace: Hashable, Sendable {
    var epoch: Epoch
    var id: StreamID

    init(_ epoch: Epoch, _ id: StreamID) {
        self.epoch = epoch
        self.id = id
    }

    /// `nil` if the text does not have the form of a place of any epoch.
    init?(_ text: String) {
        guard let (epoch, id) = text.cutExactly(at: UInt8(ascii: "-")), let epoch = Epoch(epoch), let id = StreamID(id)
        else { return nil }
        self.init(epoch, id)
    }

    var position: Position { Position(checked: "\(epoch.text)-\(id)") }
}
#endif
