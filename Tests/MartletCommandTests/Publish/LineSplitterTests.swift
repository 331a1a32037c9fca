// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite struct LineSplitterTests {
    /// What becomes of an input that comes in pieces of some size: its lines, and the error behind them.
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

    @Test(arguments: 1...7)
    func `lines are the same however they come`(size: Int) {
        let (lines, error) = split(Array("a\n\r\nüber\r\n\n c \r d\nend".utf8), pieces: size)
        #expect(error == nil)
        #expect(lines.map(\.text) == ["a", "", "über", "", " c \r d", "end"])
        #expect(lines.map(\.number) == Array(1...6))
    }

    @Test(arguments: ["", "x\n"])
    func `behind the last line end there is no line`(input: String) {
        #expect(split(Array(input.utf8), pieces: 9).0.count == input.count / 2)
    }

    @Test(arguments: [1, 3, 100], ["", "\n", "\r\n", "\r"])
    func `a line may be as long as the limit`(size: Int, end: String) {
        let input = "a\n12345678\(end)"
        let (lines, error) = split(Array(input.utf8), pieces: size)
        #expect(lines.map(\.text) == ["a", "12345678"])
        #expect(error == nil)
    }

    @Test(arguments: [1, 3, 100], ["", "\n", "\r\n", "0123456789"])
    func `a longer line is an error that names it, and the lines before are there`(size: Int, end: String) throws {
        let (lines, error) = split(Array("a\n123456789\(end)".utf8), pieces: size)
        #expect(lines.map(\.text) == ["a"])
        #expect(error?.description.contains("line 2 of the input is over 8 bytes") == true)
    }

    @Test(arguments: [1, 3, 100], [[0xFF], [0xC3], [0xED, 0xA0, 0x80]] as [[UInt8]])
    func `what is not UTF-8 is an error that names the line`(size: Int, bad: [UInt8]) {
        let (lines, error) = split(Array("ok\n".utf8) + bad + Array("\nmore".utf8), pieces: size)
        #expect(lines.map(\.text) == ["ok"])
        #expect(error?.description.contains("line 2 of the input is not UTF-8") == true)
    }
}
