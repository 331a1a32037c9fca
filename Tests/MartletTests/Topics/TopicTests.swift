// SPDX-License-Identifier: Apache-2.0

import Martlet
import Testing

@Suite("Topics")
struct TopicTests {
    @Test(
        "Any text is a topic that is not empty and has no control characters",
        arguments: [
            "a", " ", "/", "a//b", "orders/42", "*", "{id}", "\u{A0}", "\u{2028}", "\u{FEFF}", "\u{1F426}", "~",
            "\u{AD}",
        ])
    func valid(name: String) throws {
        let topic = try Topic(name)
        #expect(topic.name.utf8.elementsEqual(name.utf8))
        #expect(topic.description == name)
    }

    @Test(
        "The empty text and control characters are refused",
        arguments: [
            "", "\0", "\u{1F}", "\u{7F}", "\u{80}", "\u{85}", "\u{9F}", "a\nb", "a\r\n", "a\tb",
        ])
    func invalid(name: String) {
        let error = #expect(throws: MartletError.self) { try Topic(name) }
        #expect(error?.code == .invalidTopic)
        #expect(error?.field == "topic")
    }

    @Test("Topics are one only where their bytes are the same")
    func equality() throws {
        let spellings = ["a/b", "a//b", "A/b", "a/b/", " a/b", "\u{E9}", "e\u{301}", "K", "\u{212A}"]
        let topics = try spellings.map { try Topic($0) }
        #expect(Set(topics).count == spellings.count)
        for (a, first) in topics.enumerated() {
            for (b, second) in topics.enumerated() { #expect((first == second) == (a == b)) }
        }
        #expect(try Set([Topic("a/b"), Topic("a" + "/" + "b"), "a/b"]).count == 1)
    }

    @Test("A topic has its place in a dictionary whatever its text is made of")
    func hash() throws {
        let long = String(repeating: "\u{E9}/", count: 500)
        let topics = [try Topic(long): 1, try Topic(String(Substring(long).dropLast())): 2]
        #expect(topics[try Topic(long.map(String.init).joined())] == 1)
        #expect(topics[try Topic(String(long.dropLast()))] == 2)
    }
}
