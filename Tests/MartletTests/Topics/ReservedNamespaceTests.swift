// SPDX-License-Identifier: Apache-2.0

import Martlet
import Testing

@Suite struct ReservedNamespaceTests {
    @Test(
        "Topics of the hub's own are forbidden, however they are written",
        arguments: [
            "/.well-known/mercure", "/.well-known/mercure/", "/.well-known/mercure/subscriptions/a/b",
            "/.well-known/%6Dercure", "/%2Ewell-known/mercure", "/.well-known/%6dercure/x", "/.well-known%2Fmercure",
            "/x/../.well-known/mercure", "/.well-known/./mercure", "/.well-known/x/%2e%2E/mercure",
            "\\.well-known\\mercure", "/.well-known%5cmercure", "/.well-known//mercure", "//.well-known/mercure",
            ".well-known/mercure", "../.well-known/mercure", " /.well-known/mercure ", "/.well-known/mercure?a",
            "/.well-known/mercure#a",
            "https://hub.example/.well-known/mercure", "HTTPS://other.example:1/a/../.well-known/mercure/x",
            "//other.example/.well-known/mercure", "https:\\\\h\\.well-known\\mercure", "https:/.well-known/mercure",
            "https:.well-known/mercure", "https:////h/.well-known/mercure", "https://u:p@h/.well-known/%6Dercure",
            "a+b://h/.well-known/mercure", "/.well-known/mercure/..", "/.well-known/mercure/subscriptions/../..",
            "/.well-known/mercure/subscriptions/..%2F..%2F../urn%3Auuid%3A1", "/.well-known/mercure/%2E./../x",
        ])
    func topicsOfTheHubS(name: String) throws {
        let topic = try Topic(name)
        #expect(ReservedNamespace.contains(name))
        let events = [
            Event(topic: topic, data: ""), Event(topic: "a", alternates: ["b", topic], data: ""),
        ]
        for event in events {
            let error = #expect(throws: MartletError.self) { try Limits().check(event) }
            #expect(error?.code == .reservedTopic && error?.field == "topic")
        }
    }

    @Test(
        "Other topics are open to publishers",
        arguments: [
            "/", "mercure", "#general", "?a", "/.well-known/mercury", "/.well-known/mercure2",
            "/.well-known/mercurex/a",
            "/a/.well-known/mercure", "/.well-known", "/.Well-Known/mercure", "/.well-known/%256Dercure", "a:b", "*",
            "%",
            "https://example.com/a?u=/.well-known/mercure", "urn:uuid:1", "{id}", "%6", "..",
        ])
    func otherTopicsAreAnybodyS(topic: String) throws {
        #expect(!ReservedNamespace.contains(topic))
        try Limits().check(Event(topic: try Topic(topic), data: ""))
    }
}
