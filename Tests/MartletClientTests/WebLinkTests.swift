// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing
import Testing

@testable import MartletClient

@Suite struct WebLinkTests {
    @Test(
        "A header has these links",
        arguments: [
            ("<a>; rel=mercure", [("a", "mercure")]), ("<a>;rel=\"mercure\"", [("a", "mercure")]),
            ("  <a> ;  REL = \"b c\"  ", [("a", "b c")]), ("<a>; rel=b, <c>; rel=d", [("a", "b"), ("c", "d")]),
            ("<a>;rel=b,<c>;rel=d", [("a", "b"), ("c", "d")]), (",,<a>; rel=b, ,", [("a", "b")]),
            ("<a,b;c>; rel=d", [("a,b;c", "d")]), ("<a>; title=\"x, <y>; rel=z\"; rel=b", [("a", "b")]),
            ("<a>; title=\"x\\\", <y>\"; rel=b", [("a", "b")]), ("<a>; rel=\"b\\c\"", [("a", "bc")]),
            ("<a>; rel=b; rel=c", [("a", "b")]), ("<a>;; ;rel=b;", [("a", "b")]), ("<a>; flag; rel=b", [("a", "b")]),
            ("<a>; rel", [("a", "")]), ("<a>", [("a", nil)]), ("<>; rel=b", [("", "b")]),
            ("<a> what; rel=b, <c>; rel=d", [("a", nil), ("c", "d")]), ("<a>; rel=\"b", [("a", "b")]),
            ("<a>; rel=b c, <d>", [("a", "b"), ("d", nil)]), ("<a>; rel=b, c, <d>", [("a", "b")]), ("<a", []),
            ("a; rel=b", []), ("", []), ("<é>; rel=ü", [("é", "ü")]),
        ] as [(String, [(String, String?)])])
    func links(header: String, links: [(String, String?)]) {
        let read = WebLink.all(in: header)
        #expect(read.map(\.url) == links.map(\.0))
        #expect(read.map { $0["rel"] } == links.map(\.1))
    }

    @Test(
        "A relation is one of the words, in any case",
        arguments: [
            ("mercure", true), ("Mercure", true), ("self mercure", true), ("  MERCURE\tx", true), ("mercures", false),
            ("", false), ("https://a/mercure", false),
        ])
    func relation(rel: String, has: Bool) throws {
        let link = try #require(WebLink.all(in: "<a>; rel=\"\(rel)\"").first)
        #expect(link.has(relation: "mercure") == has)
    }

    private static func discovery(_ headers: [String]) throws -> MercureDiscovery {
        let resource = try OutgoingURL("https://a/books/1?x=y")
        return try MercureDiscovery(of: resource, links: headers.flatMap(WebLink.all))
    }

    @Test(
        "A resource has these hubs and this topic",
        arguments: [
            (["<https://b/hub>; rel=mercure"], ["https://b/hub"], "https://a/books/1?x=y", ""),
            (["</hub>; rel=mercure; last-event-id=\"7\""], ["https://a/hub"], "https://a/books/1?x=y", "7"),
            (["<hub>; rel=mercure", "<>; rel=self"], ["https://a/books/hub"], "https://a/books/1?x=y", ""),
            (["<//b/hub>; rel=mercure, <2>; rel=self"], ["https://b/hub"], "https://a/books/2", ""),
            (
                ["<urn:isbn:{1}>; rel=self", "</1>; rel=mercure, </2>; rel=mercure"], ["https://a/1", "https://a/2"],
                "urn:isbn:{1}", ""
            ),
            (["<https://B/%7e?a=é>; rel=self, </h>; rel=mercure"], ["https://a/h"], "https://B/%7e?a=é", ""),
            (["<ftp://a/>; rel=mercure, </h>; rel=mercure"], ["https://a/h"], "https://a/books/1?x=y", ""),
            (["</other>; rel=self; anchor=\"/2\", </h>; rel=mercure"], ["https://a/h"], "https://a/books/1?x=y", ""),
            (["</h>; rel=mercure; anchor=\"/books/1?x=y\""], ["https://a/h"], "https://a/books/1?x=y", ""),
        ] as [([String], [String], String, String)])
    func hubsAndTopic(
        headers: [String], hubs: [String], topic: String, lastEventID: String
    ) throws {
        let found = try Self.discovery(headers)
        #expect(found.hubURLs == hubs)
        #expect(found.topic == topic)
        #expect(found.lastEventID == lastEventID)
    }

    @Test(
        "A resource without a link to a hub is an error",
        arguments: [
            [], ["</h>; rel=hub"], ["<ftp://a/>; rel=mercure"], ["<https://u:p@a/>; rel=mercure"],
            ["</h>; rel=mercure; anchor=\"https://b/\""], ["</h>; title=\"rel=mercure\""],
        ] as [[String]])
    func noLink(headers: [String]) {
        let error = #expect(throws: HubError.self) { try Self.discovery(headers) }
        #expect(error?.code == .noHub)
    }
}
