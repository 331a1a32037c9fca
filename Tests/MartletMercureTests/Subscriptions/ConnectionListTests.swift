// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import MartletMercure

@Suite struct ConnectionListTests {
    private static func entry(_ number: Int, using random: inout SeededGenerator) -> ActiveConnection.Entry {
        let texts = (0..<Int.random(in: 0...3, using: &random)).map { _ in String.random(using: &random) }
        let payload = [nil, "", "{\n\"a\":\"\u{E9}\0\"}", String(repeating: "7", count: 300)].randomElement(
            using: &random)!
        return ActiveConnection.Entry(
            subscriber: SubscriberID.make(using: &random), selectors: texts, payload: payload, arrival: number)
    }

    @Test("A posting is read back, and so is a part of it")
    func whatIsWrittenIsRead() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for count in 0..<50 {
            let entries = (0..<count).map { Self.entry($0 + 1, using: &random) }
            let (list, omitted) = ConnectionList.encode(entries, atMost: .max)
            #expect(omitted == 0)
            #expect(try ConnectionList.decode(list) == entries, "seed \(seed)")
            let bytes = Int.random(in: 1...list.count, using: &random)
            let (part, rest) = ConnectionList.encode(entries, atMost: bytes)
            #expect(part.count <= bytes)
            #expect(try ConnectionList.decode(part) == entries.dropLast(rest), "seed \(seed)")
            if bytes < list.count { #expect(rest > 0) }
        }
    }

    @Test("A list has room for what it has bytes for")
    func listHasRoom() {
        let entries = ["a", "b"].map { ActiveConnection.Entry(subscriber: "u", selectors: [$0], payload: nil) }
        let (list, _) = ConnectionList.encode(entries, atMost: .max)
        #expect(list == [1, 1, 0x75, 1, 1, 0x61, 0, 1, 0x75, 1, 1, 0x62, 0])
        #expect(ConnectionList.encode(entries, atMost: list.count).omitted == 0)
        #expect(ConnectionList.encode(entries, atMost: list.count - 1).omitted == 1)
        #expect(ConnectionList.encode(entries, atMost: list.count - 1).list.count == 7)
    }

    @Test(
        "Other bytes are no list",
        arguments: [
            [], [0], [2], [1, 1], [1, 1, 0x75], [1, 1, 0x75, 1], [1, 1, 0x75, 1, 1, 0x61], [1, 1, 0x75, 0, 2],
            [1, 1, 0xFF, 0, 0], [1, 0x80, 0x80, 0x80, 0x80, 0x80, 0], [1, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 0x61],
        ] as [[UInt8]])
    func otherBytesAreNoList(bytes: [UInt8]) {
        #expect(throws: ConnectionList.Unreadable.self) { try ConnectionList.decode(bytes) }
    }
}
