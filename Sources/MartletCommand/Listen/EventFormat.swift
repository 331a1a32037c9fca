// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation

/// How events are shown.
enum EventFormat: Equatable, Sendable {
    /// For people. An event is a line of its id, its type and its data; data of several lines stand below, indented.
    /// Control characters are shown as what they are, so that nobody's terminal is a publisher's.
    case text(isColored: Bool)
    /// For programs. An event is a line with a JSON object of three strings: `data`, `event` and `id`.
    case json

    /// - Returns: The bytes to print, with a line end behind them.
    func bytes(of event: ServerSentEvent) throws -> [UInt8] {
        let id = event.id ?? ""
        let type = event.event.flatMap { $0.isEmpty ? nil : $0 } ?? "message"
        let data = event.data ?? ""
        switch self {
        case .text(let isColored):
            let lines = data.split(separator: "\n", omittingEmptySubsequences: false).map { Self.visible($0) }
            var text = Self.styled(id.isEmpty ? "-" : Self.visible(id[...]), "2", isColored)
            text += "  " + Self.styled(Self.visible(type[...]), "1", isColored)
            text += lines.count == 1 ? "  \(lines[0])" : lines.map { "\n    \($0)" }.joined()
            return Array((text + "\n").utf8)
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return Array(try encoder.encode(Members(data: data, event: type, id: id))) + [0x0A]
        }
    }

    private struct Members: Encodable {
        let data: String
        let event: String
        let id: String
    }

    private static func styled(_ text: String, _ code: String, _ isColored: Bool) -> String {
        isColored ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }

    /// The text with what controls a terminal escaped; tabs stay.
    static func visible(_ text: Substring) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return String(text) }
        return text.unicodeScalars.map { isControl($0) ? $0.escaped(asASCII: true) : String($0) }.joined()
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .control && scalar != "\t"
    }
}
