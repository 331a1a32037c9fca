// SPDX-License-Identifier: Apache-2.0

import Martlet
import Testing

@Suite("Positions")
struct PositionTests {
    @Test("A position is 1 to 128 bytes that are safe in headers and in JSON")
    func valid() throws {
        for text in ["0", "k3v9x2ma-1042", "3.5", "a/b+c=d_e~", String(repeating: "x", count: 128)] {
            #expect(try Position(text).text == text)
        }
    }

    @Test(
        "Any other text is refused",
        arguments: [
            "", " ", "a b", "a\n", "a\0", "\"", "\\", "a:b", "{}", "(1)", "<1>", "a@b", "\u{7F}", "\u{E9}", "\u{212A}",
            "1\u{301}", String(repeating: "x", count: 129),
        ])
    func invalid(text: String) {
        let error = #expect(throws: MartletError.self) { try Position(text) }
        #expect(error?.code == .invalidID)
    }

    @Test("A position has its epoch and its offset, each with one spelling")
    func epochAndOffset() throws {
        let epoch = try #require(Epoch("k3v9x2ma"))
        for offset in [0, 9, 10, 99, 100, 1042, 9_999_999, 10_000_000, UInt64.max / 10, .max - 1, .max] {
            let text = epoch.position(offset).text
            #expect(text == "k3v9x2ma-\(offset)")
            #expect(epoch.offset(of: text) == offset && Epoch().offset(of: text) == nil)
            #expect(Epoch.parts(of: text)?.epoch == epoch && Epoch.parts(of: text)?.offset == offset)
        }
        for rest in [
            "", "-", "1", "--1", "-+1", "-01", "-00", "-1 ", "-1a", "-18446744073709551616", "-184467440737095516150",
            "-99999999999999999999", "-1\u{301}", "-\u{661}", "\u{301}-1",
        ] {
            #expect(epoch.offset(of: "k3v9x2ma" + rest) == nil && Epoch.parts(of: "k3v9x2ma" + rest) == nil)
        }
        for text in ["k3v9x2m-1", "k3v9x2maa-1", "K3v9x2ma-1", "k3v9x2m\u{E9}-1", "-1", ""] {
            #expect(Epoch.parts(of: text) == nil)
        }
    }

    @Test(
        "An id with another spelling of an epoch or a number is unknown",
        arguments: ["K", "\u{212A}", "k\u{301}", "\u{301}"])
    func otherSpelling(first: String) async throws {
        let log = MemoryLog()
        let end = try await log.append([Event(topic: "news", data: "1")])[0].text
        let selection = Selection(topics: ["news"])
        #expect(try await log.resolve(end, for: selection).gap == nil)
        #expect(try await log.resolve(first + end.dropFirst(), for: selection).gap == .unknown)
        #expect(try await log.resolve(end + "\u{301}", for: selection).gap == .unknown)
        let zeros = end.replacing("-", with: "-0", maxReplacements: 1)
        #expect(try await log.resolve(zeros, for: selection).gap == .unknown)
    }
}
