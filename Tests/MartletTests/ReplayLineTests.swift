// SPDX-License-Identifier: Apache-2.0

import NIOCore
import TestSupport
import Testing

@testable import Martlet

@Suite("The line of those who want to read history")
struct ReplayLineTests {
    private func request(_ offset: Int, framing: Framing = .chunked) -> Replayer.Request {
        Replayer.Request(
            selection: .of("news"), after: Position(checked: "e-\(offset)"),
            through: Mark(sequence: SequenceNumber(rawValue: 100), position: Position("e-100")), framing: framing)
    }

    @Test("Readers of the same slice wait together, and the first request is served first")
    func sharing() {
        var line = ReplayLine<String>(capacity: 10)
        _ = line.join("a", for: request(1))
        _ = line.join("b", for: request(2))
        _ = line.join("c", for: request(1))
        _ = line.join("d", for: request(1, framing: .plain))
        #expect(line.count == 3)
        var served: [[String]] = []
        while let errand = line.next() { served.append(line.takeReaders(of: errand).sorted()) }
        #expect(served == [["a", "c"], ["b"], ["d"]])
    }

    @Test("Only so many slices are on their way, each until all who were given it have taken it")
    func capacity() throws {
        var line = ReplayLine<String>(capacity: 2)
        let tickets = (1...4).map { line.join("\($0)", for: request($0)) }
        let another = line.join("another", for: request(1))
        let next = line.next()
        let first = try #require(next)
        #expect(line.next() != nil)
        #expect(line.next() == nil)
        #expect(line.takeReaders(of: first).count == 2)
        line.finish(first)
        line.leave(tickets[0])
        #expect(line.next() == nil)
        line.leave(another)
        #expect(line.next() != nil)
        #expect(line.onTheirWay == 2)
    }

    @Test("No slice is read for a reader that has left, and none is given to it")
    func leaving() throws {
        var line = ReplayLine<String>(capacity: 1)
        let first = line.join("1", for: request(1))
        let second = line.join("2", for: request(2))
        line.leave(first)
        let next = line.next()
        let errand = try #require(next)
        #expect(errand.request == request(2))
        line.leave(second)
        #expect(line.takeReaders(of: errand) == [])
        #expect(line.onTheirWay == 1)
        line.finish(errand)
        #expect(line.onTheirWay == 0)
        #expect(line.count == 0)
    }

    @Test("Those who have come and gone leave nothing behind")
    func comingAndGoing() {
        var line = ReplayLine<Int>(capacity: 1)
        _ = line.join(0, for: request(0))
        for number in 1...1000 { line.leave(line.join(number, for: request(number))) }
        #expect(line.count == 1)
        let errand = line.next()
        #expect(errand.map { line.takeReaders(of: $0) } == [0])
        #expect(line.next() == nil)
    }
}
