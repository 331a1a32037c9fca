// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletMercure

@Suite struct DiscoveryLinkTests {
    @Test("Links are quoted")
    func linksAreQuoted() throws {
        #expect(
            try DiscoveryLink(hub: "https://h/.well-known/mercure").value
                == "<https://h/.well-known/mercure>; rel=\"mercure\"")
        let link = try DiscoveryLink(
            hub: "/h", lastEventID: "a\"\\b", contentType: "text/x;v=1", keySet: "{\"keys\":[]}")
        #expect(
            link.value == "</h>; rel=\"mercure\"; last-event-id=\"a\\\"\\\\b\"; content-type=\"text/x;v=1\"; "
                + "key-set=\"{\\\"keys\\\":[]}\"")
        #expect(try DiscoveryLink(canonicalTopic: "/books/1").value == "</books/1>; rel=\"self\"")
    }

    @Test(
        "Text that cannot be in a link is refused",
        arguments: ["", "a\r\nb", "a>b", "<a", "a b", "a\"b", "\u{E9}", "a\0"])
    func whatCannot(text: String) {
        #expect(throws: MercureProblem.self) { try DiscoveryLink(hub: text) }
        #expect(throws: MercureProblem.self) { try DiscoveryLink(canonicalTopic: text) }
    }

    @Test("Text that cannot be in an attribute is refused", arguments: ["a\r\nb", "\u{E9}", "a\0", "\u{7F}"])
    func whatCannotBeInAnAttribute(text: String) {
        #expect(throws: MercureProblem.self) { try DiscoveryLink(hub: "/h", lastEventID: text) }
        #expect(throws: MercureProblem.self) { try DiscoveryLink(hub: "/h", keySet: text) }
    }
}
