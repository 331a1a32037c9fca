// SPDX-License-Identifier: Apache-2.0

import EventStream

/// WHATWG HTML, section 9.2.6, step by step on a whole decoded stream: slow, without limits, and sharing no code with
/// the parser it is compared to.
struct ReferenceInterpreter {
    private var data = ""
    private var eventType = ""
    private var idBuffer = ""
    private(set) var outcome = Outcome()

    init(_ bytes: [UInt8]) {
        var scalars = Array(String(decoding: bytes, as: UTF8.self).unicodeScalars)
        if scalars.first == "\u{FEFF}" { scalars.removeFirst() }
        for line in Self.lines(scalars) { read(line) }
    }

    private static func lines(_ scalars: [Unicode.Scalar]) -> [[Unicode.Scalar]] {
        var lines: [[Unicode.Scalar]] = [[]]
        for (index, scalar) in scalars.enumerated() {
            switch scalar {
            case "\n" where index > 0 && scalars[index - 1] == "\r": continue
            case "\n", "\r": lines.append([])
            default: lines[lines.count - 1].append(scalar)
            }
        }
        return lines.dropLast()
    }

    private mutating func read(_ line: [Unicode.Scalar]) {
        if line.isEmpty {
            dispatch()
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[(colon + 1)...]
            set(text(line[..<colon]), to: text(value.first == " " ? value.dropFirst() : value))
        } else {
            set(text(line[...]), to: "")
        }
    }

    private func text(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars)
        return String(text)
    }

    private mutating func set(_ name: String, to value: String) {
        switch name {
        case "": outcome.elements.append(.comment(value))
        case "event": eventType = value
        case "data": data += value + "\n"
        case "id": if !value.unicodeScalars.contains("\0") { idBuffer = value }
        case "retry":
            guard !value.isEmpty, value.unicodeScalars.allSatisfy({ ("0"..."9").contains($0) }) else { return }
            let time = value.unicodeScalars.reduce(0) { min($0 * 10 + Int($1.value) - 0x30, 2_147_483_647) }
            outcome.elements.append(.retry(milliseconds: time))
        default: break
        }
    }

    private mutating func dispatch() {
        outcome.lastEventID = idBuffer
        if !data.isEmpty {
            data.unicodeScalars.removeLast()
            let event = ServerSentEvent(
                event: eventType.isEmpty ? nil : eventType,
                data: data,
                id: idBuffer.isEmpty ? nil : idBuffer
            )
            outcome.elements.append(.event(event))
        }
        (data, eventType) = ("", "")
    }
}
