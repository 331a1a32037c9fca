// SPDX-License-Identifier: Apache-2.0

import Martlet
import TestSupport
import Testing

@Suite("Limits")
struct LimitsTests {
    private var limits = Limits()

    init() {
        limits.topicBytes = 8
        limits.idBytes = 6
        limits.typeBytes = 4
        limits.keyBytes = 5
        limits.dataBytes = 10
        limits.topicsPerSubscription = 3
    }

    private func expect(
        _ code: MartletError.Code, field: String, of event: Event, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let error = #expect(throws: MartletError.self, sourceLocation: sourceLocation) { try limits.check(event) }
        #expect(error?.code == code, sourceLocation: sourceLocation)
        #expect(error?.field == field, sourceLocation: sourceLocation)
        #expect(error?.message.isEmpty == false, sourceLocation: sourceLocation)
    }

    @Test("An event that is at every limit is accepted")
    func atTheLimits() throws {
        try limits.check(
            Event(topic: "12345678", data: "1234567890", id: "123456", type: "1234", retry: 0, key: "12345"))
        try limits.check(Event(topic: "t", data: ""))
        try Limits().check(Event(topic: "t", data: "", retry: 86_400_000))
    }

    @Test("One byte more than a limit is refused, and the error says of what")
    func overTheLimits() {
        expect(.invalidTopic, field: "topic", of: Event(topic: "123456789", data: ""))
        expect(.invalidID, field: "id", of: Event(topic: "t", data: "", id: "1234567"))
        expect(.invalidType, field: "type", of: Event(topic: "t", data: "", type: "12345"))
        expect(.invalidKey, field: "key", of: Event(topic: "t", data: "", key: "123456"))
        expect(.tooLarge, field: "data", of: Event(topic: "t", data: "12345678901"))
    }

    @Test("Bytes are counted, not characters")
    func bytes() throws {
        try limits.check(Event(topic: "\u{E9}\u{E9}\u{E9}\u{E9}", data: "\u{1F426}\u{1F426}12"))
        expect(.invalidTopic, field: "topic", of: Event(topic: "\u{E9}\u{E9}\u{E9}\u{E9}1", data: ""))
        expect(.invalidType, field: "type", of: Event(topic: "t", data: "", type: "\u{E9}\u{E9}1"))
        expect(.tooLarge, field: "data", of: Event(topic: "t", data: "\u{1F426}\u{1F426}123"))
    }

    @Test(
        "An id with a space at either end is refused, also beside a combining mark",
        arguments: [" 1", "1 ", " \u{301}", " ", "1 \u{301} "])
    func spaces(id: String) { expect(.invalidID, field: "id", of: Event(topic: "t", data: "", id: id)) }

    @Test("An empty text is no id, type or key")
    func empty() {
        expect(.invalidID, field: "id", of: Event(topic: "t", data: "", id: ""))
        expect(.invalidType, field: "type", of: Event(topic: "t", data: "", type: ""))
        expect(.invalidKey, field: "key", of: Event(topic: "t", data: "", key: ""))
    }

    @Test(
        "Control characters are refused everywhere but in the data",
        arguments: [
            "\0", "\n", "\r", "\t", "\u{1F}", "\u{7F}", "\u{85}", "\u{9F}",
        ])
    func controlCharacters(text: String) throws {
        expect(.invalidID, field: "id", of: Event(topic: "t", data: "", id: text))
        expect(.invalidType, field: "type", of: Event(topic: "t", data: "", type: text))
        expect(.invalidKey, field: "key", of: Event(topic: "t", data: "", key: text))
        try limits.check(Event(topic: "t", data: text))
    }

    @Test("The hub's own events cannot be published")
    func reserved() throws {
        let limits = Limits()
        try limits.check(Event(topic: "earliest", data: "earliest", id: "gap", type: "earliest"))
        try limits.check(Event(topic: "gap", data: "gap", id: "Earliest", type: "Gap"))
        try limits.check(Event(topic: "#t", data: "#", id: "1#", type: "#"))
        for (event, code, field) in [
            (Event(topic: "t", data: "", id: "earliest"), MartletError.Code.invalidID, "id"),
            (Event(topic: "t", data: "", id: "#"), .invalidID, "id"),
            (Event(topic: "t", data: "", id: "#\u{301}1"), .invalidID, "id"),
            (Event(topic: "t", data: "", type: "gap"), .invalidType, "type"),
        ] {
            let error = #expect(throws: MartletError.self) { try limits.check(event) }
            #expect(error?.code == code)
            #expect(error?.field == field)
        }
    }

    @Test("A retry is neither negative nor above its limit")
    func retry() throws {
        try limits.check(Event(topic: "t", data: "", retry: 0))
        expect(.invalidRetry, field: "retry", of: Event(topic: "t", data: "", retry: -1))
        expect(.invalidRetry, field: "retry", of: Event(topic: "t", data: "", retry: .min))
        expect(.invalidRetry, field: "retry", of: Event(topic: "t", data: "", retry: 86_400_001))
    }

    @Test("No error repeats what it is about")
    func secrecy() {
        let secret = "secret\n"
        for event in [
            Event(topic: "t", data: "", id: secret), Event(topic: "t", data: "", type: secret),
            Event(topic: "t", data: "", key: secret), Event(topic: "t", data: secret + secret),
        ] {
            let error = #expect(throws: MartletError.self) { try limits.check(event) }
            #expect(error?.description.contains("secret") == false)
        }
    }

    @Test("A subscription has a topic, and as many as the limit", arguments: 0...4)
    func topics(count: Int) throws {
        let selection = Selection(topics: Set(try (0..<count).map { try Topic("t\($0)") }))
        guard !(1...3).contains(count) else { return try limits.check(selection) }
        let error = #expect(throws: MartletError.self) { try limits.check(selection) }
        #expect(error?.code == .invalidSubscription)
        #expect(error?.field == "topic")
    }

    @Test("The topics of a subscription are as long as those of events")
    func topicOfSubscription() throws {
        try limits.check(.of("1", "12345678"))
        let error = #expect(throws: MartletError.self) { try limits.check(.of("1", "123456789")) }
        #expect(error?.code == .invalidTopic)
        #expect(error?.field == "topic")
    }
}
