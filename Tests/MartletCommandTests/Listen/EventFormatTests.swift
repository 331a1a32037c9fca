// SPDX-License-Identifier: Apache-2.0

import EventStream
import Testing

@testable import MartletCommand

@Suite struct EventFormatTests {
    private func shown(_ format: EventFormat, _ event: ServerSentEvent) throws -> String {
        String(decoding: try format.bytes(of: event), as: UTF8.self)
    }

    @Test("An event with one line of data is printed as one line")
    func oneLine() throws {
        let event = ServerSentEvent(event: "shipped", data: "a  b/é", id: "7")
        #expect(try shown(.text(isColored: false), event) == "7  shipped  a  b/é\n")
        #expect(try shown(.text(isColored: false), ServerSentEvent(data: "")) == "-  message  \n")
    }

    @Test("Data of several lines follow below, indented")
    func severalLines() throws {
        let event = ServerSentEvent(data: "{\n  1\n}\n", id: "7")
        #expect(try shown(.text(isColored: false), event) == "7  message\n    {\n      1\n    }\n    \n")
    }

    @Test("Only the id and the type are coloured")
    func colours() throws {
        let event = ServerSentEvent(event: "t", data: "d", id: "7")
        #expect(try shown(.text(isColored: true), event) == "\u{1B}[2m7\u{1B}[0m  \u{1B}[1mt\u{1B}[0m  d\n")
    }

    @Test("Control characters are escaped everywhere")
    func controls() throws {
        let event = ServerSentEvent(event: "a\u{7}", data: "\u{1B}[2J\t\u{9B}1m\u{7F}\0", id: "\u{8}")
        let text = try shown(.text(isColored: false), event)
        #expect(text == #"\u{08}  a\u{07}  \u{1B}[2J"# + "\t" + #"\u{009B}1m\u{7F}\0"# + "\n")
    }

    @Test("Direction marks are escaped, and a separator before a combining mark separates")
    func directions() throws {
        let event = ServerSentEvent(data: "a\u{202E}b\n\u{301}c", id: "\u{2066}")
        #expect(
            try shown(.text(isColored: false), event) == #"\u{2066}  message"# + "\n    " + #"a\u{202E}b"#
                + "\n    \u{301}c\n")
    }

    @Test("JSON leaves nothing to a terminal that controls it")
    func controlsInJSON() throws {
        let event = ServerSentEvent(data: "\u{9B}31m\u{7F}\u{1B}\u{202E}", id: "7")
        #expect(
            try shown(.json, event)
                == #"{"data":"\u009b31m\u007f\u001b\u202e","event":"message","id":"7"}"# + "\n")
    }

    @Test("JSON always has the same three strings, sorted, on one line")
    func json() throws {
        #expect(try shown(.json, ServerSentEvent()) == #"{"data":"","event":"message","id":""}"# + "\n")
        let event = ServerSentEvent(event: "a/b", data: "x\ny\"é\u{1B}", id: "7")
        #expect(try shown(.json, event) == #"{"data":"x\ny\"é\u001b","event":"a/b","id":"7"}"# + "\n")
    }
}
