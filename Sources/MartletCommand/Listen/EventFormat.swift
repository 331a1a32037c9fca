// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import MartletSupport

/// How events are printed.
enum EventFormat: Equatable, Sendable {
    /// For people: a line with the id, the type and the data. Data of several lines follow below, indented. Control
    /// characters are escaped.
    case text(isColored: Bool)
    /// For programs: a line with a JSON object of three strings, `data`, `event` and `id`.
    case json

    /// - Returns: The bytes to print, with a line feed at the end.
    func bytes(of event: ServerSentEvent) throws -> [UInt8] {
        let id = event.id ?? ""
        let data = event.data ?? ""
        switch self {
        case .text(let isColored):
            let lines = data.splitExactly(at: 0x0A).map(\.visible)
            var text = Self.styled(id.isEmpty ? "-" : id.visible, "2", isColored)
            text += "  " + Self.styled(event.type.visible, "1", isColored)
            text += lines.count == 1 ? "  \(lines[0])" : lines.map { "\n    \($0)" }.joined()
            return Array((text + "\n").utf8)
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            let json = try encoder.encode(Members(data: data, event: event.type, id: id))
            return Array((String(decoding: json, as: UTF8.self).visibleJSON + "\n").utf8)
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
}
