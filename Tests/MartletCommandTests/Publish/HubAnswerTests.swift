// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite struct HubAnswerTests {
    private func answer(
        _ status: Int, _ body: String = "", type: String? = "text/plain", wait: Duration = .zero, count: Int = 2
    ) -> HubAnswer {
        HubAnswer(status: status, mediaType: type, wait: wait, body: Array(body.utf8), count: count)
    }

    private func refusal(_ status: Int, _ body: String = "") -> Refusal {
        Refusal(status: status, body: Array(body.utf8))
    }

    @Test func `a hub answers with an id for each event`() {
        #expect(answer(200, "1\n2\n") == .published(["1", "2"]))
        #expect(answer(200, "1\n\u{301}2\n") == .published(["1", "\u{301}2"]))
    }

    @Test func `any other answer of 200 is not a hub's`() {
        for strange in [
            answer(200, "1\n"), answer(200, "1\n2\n3\n"), answer(200, "a\nb", type: "text/html"),
            answer(200, "a\nb", type: nil),
        ] {
            guard case .strange = strange else {
                Issue.record("\(strange)")
                continue
            }
        }
    }

    @Test(arguments: [408, 425, 429, 500, 502, 503, 504, 507])
    func `what may pass is asked again, not before the server wants it`(status: Int) {
        let body = #"{"detail":"The disk is full.","status":507}"#
        #expect(
            answer(status, body, wait: .seconds(7))
                == .later("the server answered \(status): The disk is full.", wait: .seconds(7)))
        #expect(answer(status, "<html>") == .later("the server answered \(status)", wait: .zero))
    }

    @Test func `a refusal says what the hub says, else what may be wrong`() {
        let refusal = refusal(400, #"{"detail":"topic is missing.","field":"topic","line":2,"x":[]}"#)
        #expect(refusal.detail == "topic is missing.")
        #expect(refusal.line == 2)
        #expect(self.refusal(404, "<html>").detail.contains("URL"))
        #expect(self.refusal(401).detail.contains("--token-file"))
        #expect(self.refusal(307).detail == "the server answered 307")
    }

    @Test func `lines before the one that the hub names are tried without it`() {
        let named = refusal(400, #"{"line":3}"#)
        #expect(named.lines(toTryOf: 5) == 2)
        #expect(named.isOfOneLine)
        #expect(refusal(413, #"{"line":1}"#).lines(toTryOf: 5) == nil)
    }

    @Test(arguments: [400, 403, 413, 422])
    func `where the hub names no line, it is looked for`(status: Int) {
        #expect(refusal(status).lines(toTryOf: 5) == 2)
        #expect(refusal(status, #"{"line":9}"#).lines(toTryOf: 5) == 2)
        #expect(refusal(status).lines(toTryOf: 2) == 1)
        #expect(refusal(status).lines(toTryOf: 1) == nil)
        #expect(refusal(status).isOfOneLine)
    }

    @Test(arguments: [301, 401, 404, 405, 415])
    func `what concerns the request concerns all lines`(status: Int) {
        #expect(refusal(status).lines(toTryOf: 5) == nil)
        #expect(!refusal(status).isOfOneLine)
    }
}
