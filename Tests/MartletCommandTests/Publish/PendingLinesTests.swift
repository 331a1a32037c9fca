// SPDX-License-Identifier: Apache-2.0

import MartletClient
import Testing

@testable import MartletCommand

@Suite struct LineSplitterTests {
    /// The lines of an input that arrives in pieces of this size, and the error after them.
    private func split(_ input: [UInt8], pieces size: Int, longest: Int = 8) -> ([LineSplitter.Line], ClientError?) {
        var splitter = LineSplitter(maximumLineBytes: longest)
        var lines: [LineSplitter.Line] = []
        do throws(ClientError) {
            for start in stride(from: 0, to: input.count, by: size) {
                splitter.append(input[start..<min(start + size, input.count)])
                while let line = try splitter.next() { lines.append(line) }
            }
            splitter.finish()
            while let line = try splitter.next() { lines.append(line) }
        } catch {
            return (lines, error)
        }
        return (lines, nil)
    }

    @Test("The lines are the same in any pieces", arguments: 1...7)
    func pieces(size: Int) {
        let (lines, error) = split(Array("a\n\r\nüber\r\n\n c \r d\nend".utf8), pieces: size)
        #expect(error == nil)
        #expect(lines.map(\.text) == ["a", "", "über", "", " c \r d", "end"])
        #expect(lines.map(\.number) == Array(1...6))
    }

    @Test("No line follows the last line end", arguments: ["", "x\n"])
    func noLine(input: String) {
        #expect(split(Array(input.utf8), pieces: 9).0.count == input.count / 2)
    }

    @Test("A line can be as long as the limit", arguments: [1, 3, 100], ["", "\n", "\r\n", "\r"])
    func longestLine(size: Int, end: String) {
        let input = "a\n12345678\(end)"
        let (lines, error) = split(Array(input.utf8), pieces: size)
        #expect(lines.map(\.text) == ["a", "12345678"])
        #expect(error == nil)
    }

    @Test(
        "A longer line is an error that names it, and the lines before it remain", arguments: [1, 3, 100],
        ["", "\n", "\r\n", "0123456789"])
    func longLine(size: Int, end: String) throws {
        let (lines, error) = split(Array("a\n123456789\(end)".utf8), pieces: size)
        #expect(lines.map(\.text) == ["a"])
        #expect(error?.description.contains("line 2 of the input is over 8 bytes") == true)
    }

    @Test(
        "A line that is not UTF-8 is an error that names it", arguments: [1, 3, 100],
        [[0xFF], [0xC3], [0xED, 0xA0, 0x80]] as [[UInt8]])
    func invalidUTF8(size: Int, bad: [UInt8]) {
        let (lines, error) = split(Array("ok\n".utf8) + bad + Array("\nmore".utf8), pieces: size)
        #expect(lines.map(\.text) == ["ok"])
        #expect(error?.description.contains("line 2 of the input is not UTF-8") == true)
    }
}

@Suite("Pending lines") struct PendingLinesTests {
    private func pending(
        _ text: String, _ format: PendingLines.Format = .events, maximumLineBytes: Int = 100
    ) -> PendingLines {
        var pending = PendingLines(format, maximumLineBytes: maximumLineBytes)
        pending.append(Array(text.utf8))
        return pending
    }

    private func numbers(_ lines: [PendingLines.Line]?) -> [Int]? { lines?.map(\.number) }

    @Test("Lines that have arrived go together, and a line that is not complete waits")
    func together() throws {
        var pending = pending("a\nb\nc")
        #expect(numbers(try pending.take()) == [1, 2])
        #expect(try pending.take() == nil)
        pending.append(Array("d\n".utf8))
        #expect(try pending.take() == [.init(number: 3, event: .json(Array("cd".utf8)))])
        #expect(pending.takesMore)
    }

    @Test("The end of the input completes the last line, and no more is read")
    func end() throws {
        var pending = pending("a\nb")
        pending.append([])
        #expect(numbers(try pending.take()) == [1, 2])
        #expect(try pending.take() == nil)
        #expect(!pending.takesMore)
    }

    @Test("An input without a line has no events")
    func empty() throws {
        var pending = PendingLines(.events)
        pending.append([])
        #expect(try pending.take() == nil)
    }

    @Test("No more is read once there are enough lines or bytes", arguments: [(999, 1), (3, 200 * 1024)])
    func enough(count: Int, size: Int) throws {
        var pending = PendingLines(.events)
        let line = Array(repeating: UInt8(ascii: "x"), count: size) + [0x0A]
        for _ in 0..<count - 1 { pending.append(line) }
        #expect(pending.takesMore)
        pending.append(line)
        pending.append(line)
        #expect(!pending.takesMore)
        #expect(try pending.take()?.count == count + 1)
        #expect(pending.takesMore)
    }

    @Test("Blank lines are no events, but count")
    func blank() throws {
        var pending = pending("\n {}\n \t\r\n[]\n")
        #expect(
            try pending.take()
                == [
                    .init(number: 2, event: .json(Array(" {}".utf8))), .init(number: 4, event: .json(Array("[]".utf8))),
                ])
    }

    @Test("A line of data is an event, also an empty one")
    func data() throws {
        let template = HubEvent(to: "a/b", type: "t", retry: 5, key: "k", isPrivate: true)
        var pending = pending("x\"\t\n\n", .data(template))
        var first = template
        first.data = "x\"\t"
        #expect(try pending.take()?.map(\.event) == [.event(first), .event(template)])
    }

    @Test("The lines before a bad one come first")
    func badLine() throws {
        var pending = pending("a\nb\n12345\nc\n", maximumLineBytes: 4)
        #expect(!pending.takesMore)
        #expect(numbers(try pending.take()) == [1, 2])
        for _ in 0..<2 {
            let error = #expect(throws: ClientError.self) { try pending.take() }
            #expect(error?.kind == .failed)
            #expect(error?.description.contains("line 3") == true)
        }
    }
}
