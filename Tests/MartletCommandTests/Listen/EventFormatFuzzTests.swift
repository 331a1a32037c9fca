// SPDX-License-Identifier: Apache-2.0

import EventStream
import TestSupport
import Testing

@testable import MartletCommand

@Suite("Random events of listen", .timeLimit(.minutes(60))) struct EventFormatFuzzTests {
    @Test("No part of an event controls the terminal")
    func events() async throws {
        var input = FuzzInput(pieces: [
            "\u{1B}[31m", "\u{9B}", "\u{7F}", "\0", "\u{202E}", "\u{2066}", "\n", "\t", "\r", "\"", "\\", "\u{301}",
            "\u{1F426}", "a",
        ])
        while await input.next() {
            let event = ServerSentEvent(event: input.text, data: input.text, id: input.text)
            for format in [EventFormat.text(isColored: false), .json] {
                let shown = String(decoding: try format.bytes(of: event), as: UTF8.self)
                let isHarmless = shown.unicodeScalars.allSatisfy {
                    $0 == "\n" || $0 == "\t"
                        || $0.properties.generalCategory != .control && !$0.properties.isBidiControl
                }
                if !isHarmless { input.fail("Something controls the terminal") }
            }
        }
    }
}
