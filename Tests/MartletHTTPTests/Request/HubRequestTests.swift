// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletHTTP
import Testing

@Suite struct HubRequestTests {
    @Test("A target is a path and a query, and neither is normalised")
    func targetIsAPath() throws {
        let request = HubRequest(target: "/events//a%2Fb/?topic=a+b&topic=%26?")
        #expect(request.path == "/events//a%2Fb/")
        #expect(try request.query.values("topic") == ["a b", "&?"])
        #expect(try HubRequest(target: "/events").query.all.isEmpty)
    }

    @Test("A malformed query is an error when it is read, and names the field")
    func malformedQueryIsAnError() {
        let request = HubRequest(target: "/?a=1&b=%zz&c=%FF")
        let problem = #expect(throws: Problem.self) { try request.query }
        #expect(problem?.status == .badRequest && problem?.field == "b")
        #expect(throws: Problem.self) { try request.lastEventID }
        #expect(throws: Problem.self) { try request.since }
    }

    @Test(
        "A cookie is found by its name",
        arguments: [
            (["t=1"], "1"), (["a=2; t=1"], "1"), (["a=2;t=1;b=3"], "1"), (["a=2", "t=1"], "1"), (["t=a=b="], "a=b="),
            (["t=1; t=2"], "1"), (["t=; t=2"], "2"), (["t=\"1\""], "1"), (["t=\"1"], "\"1"), ([" t = 1 "], "1"),
            (["T=1"], nil), (["tt=1"], nil), (["t"], nil), (["t="], nil), (["t=\"\""], nil), ([], nil), ([""], nil),
            ([";;=;t"], nil), (["a=1;\u{301}t=1"], nil), (["t=\u{301}1"], "\u{301}1"),
            (["t=1\u{37E}a=2"], "1\u{37E}a=2"),
            (["t=\"\u{301}1\""], "\u{301}1"), (["t= \u{301} "], "\u{301}"), (["a=\"; t=1"], "1"),
        ] as [([String], String?)])
    func cookieIsFound(values: [String], value: String?) {
        var headers: HTTPFields = [:]
        headers[values: .cookie] = values
        #expect(HubRequest(target: "/", headers: headers).cookie("t") == value)
    }

    @Test(
        "A token is found also in a malformed query",
        arguments: [
            ("authorization=1", ["1"]), ("authorization=1&b=2&authorization=3", ["1", "3"]),
            ("%61uthorization=1", ["1"]), ("authorization", [""]), ("authorization=", [""]),
            ("authorization=a=b", ["a=b"]), ("authorization=a+b%2B%25", ["a b+%"]), ("authorization=%zz", ["%zz"]),
            ("authorization=%ff", ["%ff"]), ("authorization=1&%zz", ["1"]), ("Authorization=1", []), ("", []),
            ("?", []), ("b?authorization=1", []), ("\u{301}authorization=1&authorization=\u{301}2", ["\u{301}2"]),
            ("b&\u{301}authorization=1", []),
        ])
    func tokenIsFoundAlso(query: String, values: [String]) {
        #expect(HubRequest(target: "/a?" + query).queryTokens == values)
    }

    @Test(
        "Parameters are left out, and the others stay as they were written",
        arguments: [
            ("/a?t=1", "/a"), ("/a?t=1&b=2&t=3&c=%20+x", "/a?b=2&c=%20+x"), ("/a?%74=1&b", "/a?b"), ("/a%3F", "/a%3F"),
            ("/a?", "/a"), ("/a?tt=1", "/a?tt=1"), ("/a?%74=%zz&&b=%zz", "/a?b=%zz"),
        ])
    func parametersAreLeftOut(target: String, rest: String) {
        #expect(HubRequest(target: target).target(without: ["t"]) == rest)
    }
}
