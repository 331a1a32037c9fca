// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// How long a server asks a client to wait before the next request: RFC 9110 section 10.2.3.
package enum RetryAfter {
    /// The longest wait that a server can ask for: 24 days, as with the field `retry` of event streams.
    package static let longest = Duration.milliseconds(Int32.max)

    /// - Parameters:
    ///   - field: A number of seconds, or a date.
    ///   - date: The field `Date` of the same answer. The wait is counted from it, because clocks differ.
    ///   - now: The seconds since 1970 by the clock of this machine, for an answer without `Date`.
    /// - Returns: the wait; zero if there is no field, or one that is neither a number nor a date.
    package static func wait(_ field: String?, date: String?, now: Int) -> Duration {
        guard let field = field?.trimmingBlanks, !field.isEmpty else { return .zero }
        if field.utf8.allSatisfy(\.isDigit) { return min(longest, .seconds(Int(field) ?? Int(Int32.max))) }
        guard let end = HTTPDate.seconds(field, now: now) else { return .zero }
        let start = date.flatMap { HTTPDate.seconds($0.trimmingBlanks, now: now) } ?? now
        return min(longest, .seconds(max(0, end - start)))
    }
}

/// The dates of HTTP, in all three formats: RFC 9110 section 5.6.7.
enum HTTPDate {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// The seconds since 1970.
    ///
    /// - Parameter now: Decides the century of a year of two digits.
    static func seconds(_ text: Substring, now: Int) -> Int? {
        let words = text.utf8.split { " ,-".utf8.contains($0) }.map { Substring($0) }
        let parts: (day: Substring, month: Substring, year: Substring, time: Substring)
        switch words.count {
        // "Sun, 06 Nov 1994 08:49:37 GMT" and "Sunday, 06-Nov-94 08:49:37 GMT".
        case 6 where words[5].isExactly("GMT"): parts = (words[1], words[2], words[3], words[4])
        // "Sun Nov  6 08:49:37 1994".
        case 5: parts = (words[2], words[1], words[4], words[3])
        default: return nil
        }
        let time = parts.time.splitExactly(at: UInt8(ascii: ":")).map { number($0, 0...60) }
        guard let day = number(parts.day, 1...31), let month = months.firstIndex(where: parts.month.isExactly),
            var year = number(parts.year, 0...9999), time.count == 3,
            let hour = time[0], hour < 24, let minute = time[1], minute < 60, let second = time[2]
        else { return nil }
        let clock = (hour * 60 + minute) * 60 + second
        if parts.year.utf8.count == 2 {
            year += 2000
            // A date more than 50 years ahead is one in the past.
            if days(year - 50, month + 1, day) * 86_400 + clock > now { year -= 100 }
        }
        return days(year, month + 1, day) * 86_400 + clock
    }

    private static func number(_ text: Substring, _ range: ClosedRange<Int>) -> Int? {
        guard text.utf8.count <= 4, text.utf8.allSatisfy(\.isDigit), let number = Int(text) else { return nil }
        return range.contains(number) ? number : nil
    }

    /// The days since 1970 in the Gregorian calendar. A year begins in March here, so a leap day is its last day.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let year = month > 2 ? year : year - 1
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let leapDays = year.floored(4) - year.floored(100) + year.floored(400)
        return year * 365 + leapDays + dayOfYear - 719_468
    }
}

extension Int {
    /// The quotient, rounded down.
    fileprivate func floored(_ divisor: Int) -> Int { self >= 0 ? self / divisor : (self - divisor + 1) / divisor }
}
