// SPDX-License-Identifier: Apache-2.0

import Martlet
import Testing

@Suite struct TopicSelectorTests {
    @Test("The wildcard selects every topic")
    func wildcardSelectsEveryTopic() throws {
        let selector = TopicSelector("*")
        #expect(selector.isWildcard)
        #expect(selector.exactTopic == nil)
        for topic in ["*", "a", "/", "a/b c", "{id}", "\u{E9}", "50%"] as [Topic] { #expect(selector.matches(topic)) }
    }

    @Test(
        "A text without a brace selects the topic of that name",
        arguments: ["a", "/", "orders/42", "**", " *", "*a", "a b", "50%", "\u{E9}", "a%2fb", "\u{1F426}"])
    func textWithoutABraceSelects(text: String) throws {
        let selector = TopicSelector(text)
        #expect(!selector.isWildcard)
        #expect(selector.exactTopic == (try Topic(text)))
        #expect(selector.text == text && selector.description == text)
        #expect(selector.matches(try Topic(text)))
        for other in ["b", "a/", "*", "A", "e\u{301}", "a/b", "a%2Fb", "orders/4", "orders/421", "50%25"] as [Topic] {
            #expect(!selector.matches(other))
        }
    }

    @Test("A text that is no topic and no template selects nothing", arguments: ["", "\n", "a\0", "{id}\u{85}"])
    func textThatIsNoTopic(text: String) {
        let selector = TopicSelector(text)
        #expect(selector.exactTopic == nil && !selector.isWildcard)
        for topic in ["a", " ", "*", "id", "{id}"] as [Topic] { #expect(!selector.matches(topic)) }
    }

    @Test(
        "A text that is no valid template selects the topic of that name",
        arguments: [
            "{", "}", "{}", "{a", "a}", "a}b{c}", "{a}}", "{{a}", "{{a}}", "{a{b}}", "{a{b}c}", "{+}", "{#}", "{/}",
            "{=a}",
            "{,a}", "{!a}", "{@a}", "{|a}", "{$a}", "{-a}", "{~a}", "{(a)}", "{++a}", "{+/a}", "{*a}", "{*}", "{:1}",
            "{a b}", "{ a}", "{a }", "{a,}", "{a,,b}", "{a, b}", "{+a,+b}", "{a-b}", "{a/b}", "{a+}", "{\u{E9}}",
            "{a.}", "{a..b}", "{..a}", "{.}", "{%}", "{%4}", "{%4g}", "{a%}", "{a:}", "{a:0}", "{a:01}", "{a:10000}",
            "{a:b}", "{a:-1}", "{a:1*}", "{a*:1}", "{a**}", "{a*b}", "{a:1:2}", "{a*.b}", "{a:1.b}",
            "b c{a}", "\"{a}", "%{a}", "%4{a}", "{a}%4", "{a}%4g", "%g4{a}", "<{a}", "{a}>", "\\{a}", "^{a}", "`{a}",
            "|{a}",
            "\u{FFF9}{a}", "\u{FFFF}{a}", "\u{1FFFE}{a}", String(decoding: [0xEF, 0xB7, 0x90], as: UTF8.self) + "{a}",
            "\u{E0001}{a}",
        ])
    func textThatIsNoValid(text: String) throws {
        let selector = TopicSelector(text)
        #expect(selector.exactTopic == (try Topic(text)))
        #expect(selector.matches(try Topic(text)))
        #expect(!selector.isWildcard)
        for other in ["a", "b", "x", "4", "/x", "a}b", "a}bx"] as [Topic] { #expect(!selector.matches(other)) }
    }

    @Test(
        "A valid template has no exact topic, and selects its own text",
        arguments: [
            "{a}", "{A_9}", "{_}", "{9}", "{a.b}", "{a.b.c,d}", "{%41}", "{a%4aB}", "{a.%41}", "{a:1}", "{a:9999}",
            "{a:1000,b*}",
            "{+a}", "{#a}", "{.a}", "{/a}", "{;a}", "{?a}", "{&a}", "{?a,b*,c:3}", "{a}{b}", "a%41{b}", "it's{a}",
            "!#$&'()*+,-./09:;=?@AZ[]_az~{a}", "\u{A0}\u{E9}\u{D7FF}\u{E000}\u{FFEF}\u{1F426}\u{E1000}\u{10FFFD}{a}",
        ])
    func validTemplateHasNoExact(text: String) throws {
        let selector = TopicSelector(text)
        #expect(selector.exactTopic == nil)
        #expect(!selector.isWildcard)
        #expect(selector.matches(try Topic(text)))
    }

    @Test("Selectors are equal where their bytes are")
    func selectorsAreEqualWhereTheir() {
        let texts = ["*", "", "a", "{a}", "{b}", "\u{E9}{a}", "e\u{301}{a}", "\u{E9}", "e\u{301}", "{a", "{A}"]
        #expect(Set(texts.map { TopicSelector($0) }).count == texts.count)
        for text in texts {
            #expect(TopicSelector(text) == TopicSelector(String(text.unicodeScalars.map(Character.init))))
        }
    }

    @Test("Templates of subscription topics select what is announced")
    func templatesOfSubscriptionTopicsSelect() throws {
        let all = TopicSelector("/.well-known/mercure/subscriptions{/topic}{/subscriber}")
        for topic in [
            "/.well-known/mercure/subscriptions",
            "/.well-known/mercure/subscriptions/orders%2F42",
            "/.well-known/mercure/subscriptions/orders%2F%7Bid%7D/urn%3Auuid%3A0a",
            "/.well-known/mercure/subscriptions//",
        ] as [Topic] {
            #expect(all.matches(topic))
        }
        for topic in [
            "/.well-known/mercure/subscriptions/a/b/c", "/.well-known/mercure/subscriptions/orders{id}/b",
            "/.well-known/mercure/subscriptions/urn:a/b", "/.well-known/mercure", "x/.well-known/mercure/subscriptions",
        ] as [Topic] {
            #expect(!all.matches(topic))
        }
    }
}
