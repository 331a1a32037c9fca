// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletMercure

@Suite struct DiscoveryLinkTests {
    @Test func `links are quoted`() throws {
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

    @Test(arguments: ["", "a\r\nb", "a>b", "<a", "a b", "a\"b", "\u{E9}", "a\0"])
    func `what cannot be in a link is refused`(text: String) {
        #expect(throws: MercureProblem.self) { try DiscoveryLink(hub: text) }
        #expect(throws: MercureProblem.self) { try DiscoveryLink(canonicalTopic: text) }
    }

    @Test(arguments: ["a\r\nb", "\u{E9}", "a\0", "\u{7F}"])
    func `what cannot be in an attribute is refused`(text: String) {
        #expect(throws: MercureProblem.self) { try DiscoveryLink(hub: "/h", lastEventID: text) }
        #expect(throws: MercureProblem.self) { try DiscoveryLink(hub: "/h", keySet: text) }
    }
}
