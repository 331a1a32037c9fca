// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite struct BatcherTests {
    private func numbers(_ batch: LineBatch?) -> [Int]? { batch?.lines.map(\.number) }

    private func batcher(_ text: String, _ input: Batcher.Input = .events, _ limits: Batcher.Limits = .init()) throws
        -> Batcher
    {
        var batcher = Batcher(input, limits: limits)
        try batcher.append(Array(text.utf8))
        return batcher
    }

    @Test func `what is there goes together, and a line that is not complete waits`() throws {
        var batcher = try batcher("a\nb\nc")
        #expect(numbers(try batcher.next()) == [1, 2])
        #expect(try batcher.next() == nil)
        try batcher.append(Array("d\n".utf8))
        let batch = try batcher.next()
        #expect(batch?.json == Array("cd".utf8))
        #expect(batch?.numbers == 3...3)
        #expect(batcher.takesMore)
    }

    @Test func `the end of the input completes the last line, and no more is wanted`() throws {
        var batcher = try batcher("a\nb")
        try batcher.append([])
        #expect(numbers(try batcher.next()) == [1, 2])
        #expect(try batcher.next() == nil)
        #expect(!batcher.takesMore)
    }

    @Test func `an input without a line makes no batch`() throws {
        var batcher = Batcher(.events)
        try batcher.append([])
        #expect(try batcher.next() == nil)
    }

    @Test func `a batch has as many lines as the limit allows`() throws {
        var batcher = try batcher("1\n2\n", .events, .init(lines: 3))
        #expect(batcher.takesMore)
        try batcher.append(Array("3\n4\n".utf8))
        #expect(!batcher.takesMore)
        #expect(numbers(try batcher.next()) == [1, 2, 3])
        #expect(batcher.takesMore)
        #expect(numbers(try batcher.next()) == [4])
    }

    @Test func `a batch has as many bytes as the limit allows, and one line at least`() throws {
        var batcher = try batcher("123\n567\n1\n123456789\n1\n", .events, .init(bytes: 8))
        #expect(!batcher.takesMore)
        #expect(numbers(try batcher.next()) == [1, 2])
        #expect(numbers(try batcher.next()) == [3])
        #expect(numbers(try batcher.next()) == [4])
        #expect(numbers(try batcher.next()) == [5])
        #expect(batcher.takesMore)
    }

    @Test func `blank lines are no events, but count`() throws {
        var batcher = try batcher("\n {}\n \t\r\n[]\n")
        let batch = try batcher.next()
        #expect(numbers(batch) == [2, 4])
        #expect(batch?.json == Array(" {}\n[]".utf8))
    }

    @Test func `a line of data is an event, also an empty one`() throws {
        let template = EventTemplate(topic: "a/b", type: "t", retry: 5, key: "k", isPrivate: true)
        var batcher = try batcher("x\"\t\n\n", .data(template))
        let lines = [
            #"{"data":"x\"\t","key":"k","private":true,"retry":5,"topic":"a/b","type":"t"}"#,
            #"{"data":"","key":"k","private":true,"retry":5,"topic":"a/b","type":"t"}"#,
        ]
        #expect(try batcher.next()?.json == Array(lines.joined(separator: "\n").utf8))
        var plain = try self.batcher("x\n", .data(EventTemplate(topic: "é", id: "1")))
        #expect(try plain.next()?.json == Array(#"{"data":"x","id":"1","topic":"é"}"#.utf8))
    }

    @Test("Data that are too large as JSON go alone and as they are")
    func largeData() throws {
        let template = EventTemplate(topic: "t")
        let frame = #"{"data":"","topic":"t"}"#.utf8.count
        let fits = String(repeating: "x", count: 100 - frame)
        let escaped = String(repeating: "\"", count: 50)
        var batcher = try batcher("a\n\(fits)\n\(fits)x\n\(escaped)\nb\n", .data(template), .init(bytes: 100))
        #expect(try batcher.next()?.json == Array(#"{"data":"a","topic":"t"}"#.utf8))
        #expect(try batcher.next()?.json.count == 100)
        for data in ["\(fits)x", escaped] {
            let batch = try #require(try batcher.next())
            #expect(batch.lines.map(\.event) == [.data(template, Array(data.utf8))])
        }
        #expect(try batcher.next()?.numbers == 5...5)
    }

    @Test("A line of the longest length is a request of as many bytes")
    func longestLine() throws {
        let line = String(repeating: "x", count: Batcher.Limits().lineBytes)
        var batcher = try batcher(line + "\n")
        #expect(try batcher.next()?.json.count == 1024 * 1024)
    }

    @Test func `what is before a bad line comes first`() throws {
        var batcher = try batcher("a\nb\n12345\nc\n", .events, .init(lineBytes: 4))
        #expect(!batcher.takesMore)
        #expect(numbers(try batcher.next()) == [1, 2])
        for _ in 0..<2 {
            let error = #expect(throws: ClientError.self) { try batcher.next() }
            #expect(error?.kind == .failed)
            #expect(error?.description.contains("line 3") == true)
        }
    }

    @Test func `parts of a batch have other keys than the whole`() throws {
        var batcher = try batcher("a\n\nb\nc\n")
        let batch = try #require(try batcher.next())
        let (first, second) = batch.split(at: 1)
        #expect(numbers(first) == [1])
        #expect(numbers(second) == [3, 4])
        #expect([batch, first, second].map { $0.idempotencyKey(run: "r") } == ["r-1-4", "r-1-1", "r-3-4"])
    }
}
