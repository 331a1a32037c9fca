// SPDX-License-Identifier: Apache-2.0

package import Foundation

extension Date {
    /// The time that a text denotes in the form of RFC 3339, section 5.6, such as `2026-11-24T18:00:00.5+01:00`; `nil` for
    /// any other text. Leap seconds are refused. A space may stand for `+`, which a query decodes to a space.
    package init?(rfc3339 text: String) {
        // In ASCII, but for a line break, characters are bytes.
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        // characters: ASCII
        let text = text.uppercased()
        let rest = text.dropFirst(19)
        let zone = rest.drop { $0 == "." || $0.isNumber }
        let digits = rest[..<zone.startIndex]
        guard let start = Date(utc: text.prefix(19) + "Z"), let fraction = Double("0\(digits)"),
            digits.isEmpty || (digits.utf8.first == UInt8(ascii: ".") && digits.count > 1),
            let offset = Self.offset(zone)
        else { return nil }
        self = start.addingTimeInterval(fraction - offset)
    }

    /// The seconds by which a zone is ahead of UTC.
    private static func offset(_ zone: Substring) -> TimeInterval? {
        if zone == "Z" { return 0 }
        guard let sign = zone.first, "+- ".contains(sign) else { return nil }
        return Date(utc: "1970-01-01T\(zone.dropFirst()):00Z").map { $0.timeIntervalSince1970 * (sign == "-" ? -1 : 1) }
    }

    /// Foundation's parser also accepts similar forms, and reads the 30th of February as the 2nd of March.
    private init?(utc text: String) {
        guard let date = try? Date(text, strategy: .iso8601), date.formatted(.iso8601) == text else { return nil }
        self = date
    }
}
