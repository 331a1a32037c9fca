// SPDX-License-Identifier: Apache-2.0

extension StringProtocol {
    /// The text with everything escaped that controls a terminal, so that a server or a publisher does not. Tabs stay.
    var visible: String {
        guard unicodeScalars.contains(where: \.controlsTerminal) else { return String(self) }
        return unicodeScalars.map { $0.controlsTerminal ? $0.escaped(asASCII: true) : String($0) }.joined()
    }

    /// JSON with the same escaped, as JSON has it. It leaves no such thing but in strings.
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
    /// Control characters, of C1 too, and what turns the direction of the text around it. All are below U+10000.
    fileprivate var controlsTerminal: Bool {
        self != "\t" && (properties.generalCategory == .control || properties.isBidiControl)
    }
}
