// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport
import MartletTesting
import TestSupport
import Testing

@testable import MartletMercure

@Suite struct SubscriptionDocumentTests {
    private let document = SubscriptionDocument(
        selector: "a/{\"id\"}\u{E9}", subscriber: "urn:uuid:1", isActive: true, payload: "{\"x\":1}")
    private let members = """
        "id":"/.well-known/mercure/subscriptions/a%2F%7B%22id%22%7D%C3%A9/urn%3Auuid%3A1","type":"Subscription",\
        "subscriber":"urn:uuid:1","topic":"a/{\\"id\\"}\u{E9}","active":true,"payload":{"x":1}
        """

    @Test("The members of a document are in one order")
    func membersOfADocument() {
        let context = "\"@context\":\"https://mercure.rocks/\""
        #expect(document.json == "{\(context),\(members)}")
        #expect(document.json(lastEventID: "7") == "{\(context),\(members),\"lastEventID\":\"7\"}")
        let root = "\"id\":\"/.well-known/mercure/subscriptions\",\"type\":\"Subscriptions\",\"lastEventID\":\"7\""
        let list = SubscriptionDocument.json([document, document], at: .all, lastEventID: "7")
        #expect(list == "{\(context),\(root),\"subscriptions\":[{\(members)},{\(members)}]}")
        #expect(SubscriptionDocument.json([], at: .all, lastEventID: "7").hasSuffix("\"subscriptions\":[]}"))
    }

    @Test("Texts are escaped as JSON asks")
    func textsAreEscapedAsJSON() {
        #expect("a\"\\/\n\r\t\u{0}\u{1F}\u{7F}\u{E9}".jsonQuoted == "\"a\\\"\\\\/\\n\\r\\t\\u0000\\u001f\u{7F}\u{E9}\"")
        #expect("\"\u{301}\r\n".jsonQuoted.unicodeScalars.elementsEqual("\"\\\"\u{301}\\r\\n\"".unicodeScalars))
    }

    @Test("Paths are written and read back")
    func pathsAreWrittenAndRead() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<2_000 {
            let (a, b) = (String.random(using: &random), String.random(using: &random))
            for path in [SubscriptionPath.all, .of(selector: a), .one(selector: a, subscriber: b)] {
                let read = try #require(SubscriptionPath(path.text), "seed \(seed): \(path.text)")
                try #require(read == path && read.text == path.text, "seed \(seed): \(path.text)")
            }
            guard case .one(let x, let y)? = SubscriptionPath(SubscriptionPath.one(selector: a, subscriber: b).text)
            else { return #expect(Bool(false)) }
            try #require(x.utf8.elementsEqual(a.utf8) && y.utf8.elementsEqual(b.utf8), "seed \(seed)")
        }
    }

    @Test(
        "Other paths name no subscription",
        arguments: [
            "", "/", "/.well-known/mercure", "/.well-known/mercure/subscriptions/",
            "/.well-known/mercure/subscriptionsx",
            "/.well-known/mercure/subscriptions//a", "/.well-known/mercure/subscriptions/a/",
            "/.well-known/mercure/subscriptions/a/b/c", "/.well-known/mercure/subscriptions/%4",
            "/.well-known/mercure/subscriptions/%FF", "x/.well-known/mercure/subscriptions",
        ])
    func otherPathsNameNoSubscription(path: String) {
        #expect(SubscriptionPath(path) == nil)
    }

    @Test("A path may be encoded in other ways, and is decoded once")
    func pathMayBeEncoded() {
        let path = SubscriptionPath("/.well-known/mercure/subscriptions/a+b:%2561/%c3%a9")
        #expect(path == .one(selector: "a+b:%61", subscriber: "\u{E9}"))
    }

    @Test("The hub's own topics are in the reserved namespace")
    func hubSOwnTopics() {
        #expect(ReservedNamespace.contains(document.path.text))
    }

    @Test("Entity tags are the FNV-1a hash and found in lists")
    func entityTagsAreTheFNV() {
        #expect(EntityTag.make(of: "") == "\"cbf29ce484222325\"")
        #expect(EntityTag.make(of: "a") == "\"af63dc4c8601ec8c\"")
        #expect(EntityTag.make(of: "foobar") == "\"85944171f73967e8\"")
        let tag = EntityTag.make(of: "a")
        for list in [tag, "W/\(tag)", "\"x\", \(tag)", "*"] { #expect(EntityTag.matches(tag, ifNoneMatch: list)) }
        for list in ["", "\"x\"", "af63dc4c8601ec8c"] { #expect(!EntityTag.matches(tag, ifNoneMatch: list)) }
    }

    @Test("Subscribers are random UUIDs of version 4")
    func subscribersAreRandomUUIDs() throws {
        var random = SeededGenerator(seed: 1)
        var again = SeededGenerator(seed: 1)
        var seen: Set<String> = []
        for _ in 0..<1_000 {
            let id = SubscriberID.make(using: &random)
            #expect(id == SubscriberID.make(using: &again))
            let form = /urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/
            #expect(try form.wholeMatch(in: id) != nil)
            seen.insert(id)
        }
        #expect(seen.count == 1_000)
        #expect(SubscriberID.make() != SubscriberID.make())
    }
}
