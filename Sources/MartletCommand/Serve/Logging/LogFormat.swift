// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletSupport

/// How a line of the log is written.
enum LogFormat: String, CaseIterable, Sendable {
    /// For people: time, level, logger, message, and the fields as `name=value`.
    case text
    /// For programs: one JSON object.
    case json
}

/// One line of the log. It stays one line with any content: control characters are escaped, and what is too
/// long is cut.
struct LogLine {
    var time: WallTime
    var level: Logger.Level
    var logger: String
    var message: String
    var fields: Logger.Metadata

    /// The bounds of a line. Longer texts and lists end with an ellipsis.
    static let mostTextBytes = 4096
    static let mostMembers = 64
    static let mostDepth = 4

    /// The names of JSON that are not fields. A field of the same name gets a `_` behind its name.
    private static let ownNames: Set = ["time", "level", "logger", "message"]

    /// The line with its line feed.
    func text(as format: LogFormat) -> String {
        switch format {
        case .text: plain + "\n"
        case .json: json + "\n"
        }
    }

    private var plain: String {
        var line = "\(time.rfc3339) \(level.rawValue) \(LogText.escaped(logger)): \(LogText.escaped(message))"
        for (name, value) in sorted(fields) { line += " \(LogText.bareOrQuoted(name))=\(plain(value))" }
        return line
    }

    private func plain(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): LogText.bareOrQuoted(text)
        case .stringConvertible(let value): LogText.bareOrQuoted(value.description)
        case .array, .dictionary: json(value, depth: 0)
        }
    }

    private var json: String {
        var line = #"{"time":"\#(time.rfc3339)","level":"\#(level.rawValue)","logger":\#(LogText.quoted(logger))"#
        line += #","message":\#(LogText.quoted(message))"#
        var taken = Self.ownNames
        for (name, value) in sorted(fields) {
            var name = name
            while !taken.insert(name).inserted { name += "_" }
            line += ",\(LogText.quoted(name)):\(json(value, depth: 0))"
        }
        return line + "}"
    }

    private func json(_ value: Logger.MetadataValue, depth: Int) -> String {
        switch value {
        case .string(let text): return LogText.quoted(text)
        case .stringConvertible(let value): return LogText.number(value) ?? LogText.quoted(value.description)
        case .array, .dictionary: break
        }
        guard depth < Self.mostDepth else { return LogText.quoted("…") }
        if case .array(let values) = value {
            var members = values.prefix(Self.mostMembers).map { json($0, depth: depth + 1) }
            if values.count > Self.mostMembers { members.append(LogText.quoted("…")) }
            return "[\(members.joined(separator: ","))]"
        }
        guard case .dictionary(let values) = value else { return "null" }
        var members = sorted(values).map { "\(LogText.quoted($0)):\(json($1, depth: depth + 1))" }
        if values.count > Self.mostMembers { members.append(#""…":"…""#) }
        return "{\(members.joined(separator: ","))}"
    }

    private func sorted(_ values: Logger.Metadata) -> some Sequence<(key: String, value: Logger.MetadataValue)> {
        values.sorted { $0.key < $1.key }.prefix(Self.mostMembers)
    }
}

/// Texts as they stand in a line of the log.
enum LogText {
    /// Without control characters, separators of lines and paragraphs, and characters that turn the direction of text:
    /// they are escaped as in JSON.
    static func escaped(_ text: String) -> String { escaped(text, quotes: false) }

    /// A JSON string (RFC 8259 section 7).
    static func quoted(_ text: String) -> String { "\"\(escaped(text, quotes: true))\"" }

    /// The text, or otherwise a JSON string if it is empty or has a character that could be taken for the end of it.
    static func bareOrQuoted(_ text: String) -> String {
        let isBare = text.unicodeScalars.allSatisfy { scalar in
            scalar.value > 0x20 && !"\"\\=".unicodeScalars.contains(scalar) && !scalar.breaksLines
        }
        return isBare && !text.isEmpty ? text.shortened(toBytes: LogLine.mostTextBytes) : quoted(text)
    }

    /// A number or a truth value as in JSON; `nil` for anything else.
    static func number(_ value: any CustomStringConvertible) -> String? {
        switch value {
        case let value as Bool: "\(value)"
        case let value as any BinaryInteger: "\(value)"
        case let value as Double where value.isFinite: "\(value)"
        case let value as Float where value.isFinite: "\(value)"
        default: nil
        }
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        let text = text.shortened(toBytes: LogLine.mostTextBytes)
        let isPlain = text.utf8.allSatisfy { (0x20...0x7E).contains($0) && !(quotes && ($0 == 0x22 || $0 == 0x5C)) }
        guard !isPlain else { return text }
        var escaped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"" where quotes, "\\" where quotes: escaped += ["\\", scalar]
            case "\n": escaped += "\\n".unicodeScalars
            case "\r": escaped += "\\r".unicodeScalars
            case "\t": escaped += "\\t".unicodeScalars
            case _ where scalar.breaksLines: escaped += "\\u\(UInt16(scalar.value).hexText)".unicodeScalars
            default: escaped.append(scalar)
            }
        }
        return String(escaped)
    }
}

extension Unicode.Scalar {
    /// Whether it could end a line, or change how the rest of a line looks. All such characters are below U+10000.
    fileprivate var breaksLines: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: properties.isBidiControl
        }
    }
}

extension WallTime {
    /// The time in UTC with milliseconds (RFC 3339): `2026-11-30T09:08:45.123Z`.
    ///
    /// Source: <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
    var rfc3339: String {
        // The years from 0 to 9999, which the format can hold.
        let time = min(max(milliseconds, -62_167_219_200_000), 253_402_300_799_999)
        let (days, rest) = (time.floorDivided(by: 86_400_000), time - time.floorDivided(by: 86_400_000) * 86_400_000)
        let shifted = days + 719_468
        let era = shifted.floorDivided(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let date = "\(year.digits(4))-\(month.digits(2))-\(day.digits(2))"
        let seconds = rest / 1000
        let clock = "\((seconds / 3600).digits(2)):\((seconds / 60 % 60).digits(2)):\((seconds % 60).digits(2))"
        return "\(date)T\(clock).\((rest % 1000).digits(3))Z"
    }
}

extension Int64 {
    fileprivate func floorDivided(by divisor: Int64) -> Int64 {
        self >= 0 ? self / divisor : (self - divisor + 1) / divisor
    }

    fileprivate func digits(_ count: Int) -> String {
        let digits = String(self)
        return String(repeating: "0", count: Swift.max(0, count - digits.utf8.count)) + digits
    }
}
