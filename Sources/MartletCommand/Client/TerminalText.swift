// SPDX-License-Identifier: Apache-2.0

import MartletSupport

extension StringProtocol {
    /// The text with all control characters but tabs escaped, so that a server or a publisher cannot control the terminal.
    var visible: String {
        guard unicodeScalars.contains(where: \.controlsTerminal) else { return String(self) }
        return unicodeScalars.map { $0.controlsTerminal ? $0.escaped(asASCII: true) : String($0) }.joined()
    }

    /// JSON with the same characters escaped as in JSON. Only its strings contain any.
    var visibleJSON: String {
        guard unicodeScalars.contains(where: \.controlsTerminal) else { return String(self) }
        return unicodeScalars.map { scalar in
            guard scalar.controlsTerminal else { return String(scalar) }
            let digits = String(scalar.value, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
        }.joined()
    }
}

extension Unicode.Scalar {
    /// Control characters, those of C1 included, and characters that turn the direction of text. All are below U+10000.
    fileprivate var controlsTerminal: Bool {
        self != "\t" && (properties.generalCategory == .control || properties.isBidiControl)
    }
}

extension Duration {
    /// The duration as in options, in whole milliseconds: `1500ms`, `30s`.
    var described: String {
        let milliseconds = Int(exactly: (self / .milliseconds(1)).rounded(.towardZero))
        return milliseconds.map(UnitScale.milliseconds.describe) ?? "\(self)"
    }
}
