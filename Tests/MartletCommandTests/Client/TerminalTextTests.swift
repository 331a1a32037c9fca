// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite("Text for a terminal") struct TerminalTextTests {
    @Test("An error that repeats what a server says is escaped")
    func outcome() {
        let outcome = Outcome(of: ClientError(.refused, "\u{1B}[31mred\u{7} \u{9B}0m\u{202E}"))
        #expect(outcome.text == #"martlet: \u{1B}[31mred\u{07} \u{009B}0m\u{202E}"#)
    }

    @Test(
        "Text that controls nothing stays as it is",
        arguments: ["", "a\tb", "\u{E9}\u{301}", "\u{1F469}\u{200D}\u{1F467}"])
    func unchanged(text: String) {
        #expect(text.visible == text)
        #expect(text.visibleJSON == text)
    }

    @Test(
        "A duration of any length has a text",
        arguments: [(Duration.milliseconds(1500), "1500ms"), (.seconds(90), "90s"), (.zero, "0ms")])
    func durations(duration: Duration, text: String) {
        #expect(duration.described == text)
    }

    @Test(
        "The longest durations have a text too",
        arguments: [Duration.seconds(Int.max), .seconds(Int.min), .milliseconds(Int.max)])
    func longest(duration: Duration) {
        #expect(!duration.described.isEmpty)
    }
}
