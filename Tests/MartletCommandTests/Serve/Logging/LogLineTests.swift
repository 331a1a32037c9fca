// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Martlet
import MartletSupport
import Synchronization
import TestSupport
import Testing

@testable import MartletCommand

@Suite("A line of the log")
struct LogLineTests {
    private static let time = WallTime(milliseconds: 1_795_165_725_123)

    private func line(_ message: String, _ fields: Logger.Metadata = [:]) -> LogLine {
        LogLine(time: Self.time, level: .warning, logger: "martlet", message: message, fields: fields)
    }

    private func object(_ line: LogLine) throws -> [String: Any] {
        let data = Data(line.text(as: .json).utf8)
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    @Test("A text line has time, level, logger and message, and the fields in the order of their names")
    func text() {
        let line = line("The log is away.", ["b": "two words", "a": "1", "c": "", "d e": "x=y"])
        #expect(
            line.text(as: .text)
                == #"2026-11-20T09:08:45.123Z warning martlet: The log is away. a=1 b="two words" c="" "d e"="x=y""#
                + "\n")
    }

    @Test("A JSON line is one object with the fields among its members")
    func json() throws {
        let line = line(
            "Stream ended.",
            [
                "events": .stringConvertible(3), "seconds": .stringConvertible(0.5), "topics": ["a", "b"],
                "on": .stringConvertible(true),
            ])
        let start =
            #"{"time":"2026-11-20T09:08:45.123Z","level":"warning","logger":"martlet","message":"Stream ended.""#
        let fields = #","events":3,"on":true,"seconds":0.5,"topics":["a","b"]}"#
        #expect(line.text(as: .json) == start + fields + "\n")
    }

    @Test("A field with a name of the line itself gets another name, and none is lost")
    func names() throws {
        let object = try object(line("m", ["time": "x", "time_": "y", "message": "z"]))
        #expect(object["message"] as? String == "m")
        #expect(object["message_"] as? String == "z")
        #expect(Set([object["time_"] as? String, object["time__"] as? String]) == ["x", "y"])
    }

    @Test("A number that JSON does not have is a text")
    func notANumber() throws {
        #expect(try object(line("m", ["n": .stringConvertible(Double.nan)]))["n"] as? String == "nan")
    }

    /// Every scalar that ends a line somewhere, or that could hide another.
    private static let tricky: [String] = {
        let controls = (0...0x1F).map { $0 } + (0x7F...0x9F).map { $0 } + [0x2028, 0x2029, 0x202E, 0x2066]
        return controls.compactMap { Unicode.Scalar(UInt32($0)) }.map { "a\($0)b" }
            + ["\r\n", "\"", "\\", "\\n", "a\" injected=\"1", "é\u{301}", "😀", "{\"a\":1}"]
    }()

    @Test("Whatever is in a message, a name or a value, it stays on one line and is read back as it was")
    func roundTrip() throws {
        for text in Self.tricky {
            let line = line(text, [text: .string(text), "list": [.string(text)], "map": [text: .string(text)]])
            for format in LogFormat.allCases {
                let written = line.text(as: format)
                let breaks = written.unicodeScalars.filter {
                    [.control, .lineSeparator, .paragraphSeparator].contains($0.properties.generalCategory)
                }
                #expect(breaks.map(\.value) == [0x0A], "\(format) \(text.debugDescription)")
                #expect(written.utf8.last == 0x0A)
            }
            let object = try object(line)
            #expect((object["message"] as? String)?.unicodeScalars.elementsEqual(text.unicodeScalars) == true)
            #expect((object["list"] as? [String])?.first?.unicodeScalars.elementsEqual(text.unicodeScalars) == true)
            let values = object.values.compactMap { $0 as? String }
            #expect(values.contains { $0.unicodeScalars.elementsEqual(text.unicodeScalars) })
        }
    }

    @Test("A text of the greatest length is whole, a longer one is cut between two characters")
    func longTexts() throws {
        let most = LogLine.mostTextBytes
        let whole = String(repeating: "x", count: most)
        #expect(try object(line(whole))["message"] as? String == whole)
        let long = String(repeating: "x", count: most - 1) + "é"
        #expect(try object(line(long))["message"] as? String == String(repeating: "x", count: most - 1) + "…")
        #expect(line("m", ["v": .string(whole + "x")]).text(as: .text).hasSuffix("x…\n"))
    }

    @Test("A list of the greatest length is whole, of a longer one the rest is left out, and so are levels too deep")
    func longLists() throws {
        let most = LogLine.mostMembers
        for (count, expected) in [(most, most), (most + 1, most + 1)] {
            let values = (0..<count).map { Logger.MetadataValue.stringConvertible($0) }
            let list = try #require(try object(line("m", ["list": .array(values)]))["list"] as? [Any])
            #expect(list.count == expected)
            #expect((list.last as? String == "…") == (count > most))
        }
        var deep: Logger.MetadataValue = "end"
        for _ in 0..<LogLine.mostDepth { deep = [deep] }
        #expect(line("m", ["deep": deep]).text(as: .json).contains(#"[[[["end"]]]]"#))
        #expect(line("m", ["deep": [deep]]).text(as: .json).contains(#"[[[["…"]]]]"#))
    }

    @Test(
        "Times are in UTC with milliseconds",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"), (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
            (Int64.max, "9999-12-31T23:59:59.999Z"), (Int64.min, "0000-01-01T00:00:00.000Z"),
        ])
    func times(milliseconds: Int64, text: String) {
        #expect(WallTime(milliseconds: milliseconds).rfc3339 == text)
    }

    @Test("A handler writes a line for each message of its level, with all fields")
    func handler() throws {
        let lines = Lines()
        var logger = Logger(label: "martlet.test") { label in
            var handler = LineLogHandler(label: label, format: .json) { lines.append($0) }
            handler.metadataProvider = .init { ["provided": "2", "shared": "provider"] }
            return handler
        }
        logger[metadataKey: "own"] = "1"
        logger.debug("not this")
        logger.error("this", metadata: ["shared": "message"])
        let line = try #require(lines.all.first)
        #expect(lines.all.count == 1)
        #expect(line.contains(#""level":"error","logger":"martlet.test","message":"this","#))
        #expect(line.contains(#""own":"1","provided":"2","shared":"message"}"#))
    }

    @Test("Lines of many threads do not mix, and a pipe that nobody reads loses them without harm")
    func output() throws {
        StandardStream.ignoreBrokenPipes()
        let pipe = Pipe()
        let output = LogOutput(
            StandardStream(descriptor: pipe.fileHandleForWriting.fileDescriptor, name: "test"))
        let line = String(repeating: "y", count: 10_000) + "\n"
        for _ in 0..<4 { try WorkThread.start { for _ in 0..<5 { output.write(line) } } }
        var read = Data()
        while read.count < 20 * line.utf8.count { read += pipe.fileHandleForReading.availableData }
        #expect(read == Data(String(repeating: line, count: 20).utf8))
        try pipe.fileHandleForReading.close()
        output.write(line)
    }
}

/// Lines from any thread.
private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func append(_ line: String) { lines.withLock { $0.append(line) } }
}
