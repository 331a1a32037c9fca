// SPDX-License-Identifier: Apache-2.0

import Foundation
import Martlet
import MartletAuth

/// What a token contains, as lines for people.
struct TokenReport {
    let isRefused: Bool
    let text: String

    /// - Parameter checked: The checks that were possible, apart from the form: "signature", "times".
    init(_ token: InspectedToken, checked: [String], now: Date) {
        isRefused = token.refusal != nil
        var lines: [(name: String, value: String)] = []
        lines.append(("Signed with", token.algorithm.map { "\($0)" } ?? "an unknown algorithm"))
        if let keyID = token.keyID { lines.append(("Key", Self.quoted(keyID))) }
        if token.algorithm != nil {
            lines.append(("Subject", token.subject.map(Self.quoted) ?? "none"))
            if let issuer = token.issuer { lines.append(("Issuer", Self.quoted(issuer))) }
            if let audiences = token.audiences {
                lines.append(("Audience", audiences.map(Self.quoted).joined(separator: ", ")))
            }
            if let start = token.start { lines.append(("Not before", Self.time(start, now: now))) }
            lines.append(("Expires", token.expiry.map { Self.time($0, now: now) } ?? "never"))
            lines += Self.selectors("Publish", token.mercure?.publish, none: "nothing: no array mercure.publish")
            lines += Self.selectors("Subscribe", token.mercure?.subscribe, none: "no private events")
            if let payload = token.mercure?.payload { lines.append(("Payload", Self.printable(payload.text))) }
        }
        if let refusal = token.refusal {
            lines.append(("Refused", refusal.message))
        } else {
            // characters: a text of ours
            let note = checked.contains("signature") ? "" : "; the signature was not checked without a key"
            lines.append(("Good", Self.list(checked) + note))
        }
        let width = 12
        text = lines.map { name, value in
            name.padding(toLength: width, withPad: " ", startingAt: 0) + value
        }.joined(separator: "\n")
    }

    /// "signature, times and audience".
    private static func list(_ names: [String]) -> String {
        guard let last = names.last, names.count > 1 else { return names.first ?? "" }
        return "\(names.dropLast().joined(separator: ", ")) and \(last)"
    }

    private static func selectors(
        _ name: String, _ selectors: [String]?, none: String
    ) -> [(name: String, value: String)] {
        guard let selectors, !selectors.isEmpty else {
            return [(name, selectors == nil ? none : "nothing: the array is empty")]
        }
        return selectors.enumerated().map { index, text in
            let advice = SelectorAdvice(TopicSelector(text))
            let warning = advice.warning.map { ". Warning: \(printable($0))" } ?? ""
            return (index == 0 ? name : "", "\(quoted(text)), \(advice.meaning)\(warning)")
        }
    }

    /// "2026-01-02T03:04:05Z, in 5 minutes".
    static func time(_ time: Date, now: Date) -> String {
        let seconds = Int(time.timeIntervalSince(now).rounded())
        let units = [("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)]
        let (unit, size) = units.first { abs(seconds) >= $0.1 } ?? ("second", 1)
        let count = abs(seconds) / size
        let amount = "\(count) \(unit)\(count == 1 ? "" : "s")"
        return "\(time.timeText), \(seconds < 0 ? "\(amount) ago" : "in \(amount)")"
    }

    private static func quoted(_ text: String) -> String {
        var escaped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if scalar == "\\" || scalar == "\"" { escaped.append("\\") }
            escaped.append(scalar)
        }
        return "\"\(printable(String(escaped)))\""
    }

    /// A text of a token, with everything escaped that would control a terminal or reorder the text.
    private static func printable(_ text: String) -> String {
        var printable = ""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator:
                printable += "\\u{\(String(scalar.value, radix: 16))}"
            default: printable.unicodeScalars.append(scalar)
            }
        }
        return printable
    }
}
