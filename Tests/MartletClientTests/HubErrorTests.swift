// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletClient

@Suite("Errors of hubs") struct HubErrorTests {
    private func error(_ status: Int, _ body: String = "", wait: Duration = .zero) -> HubError {
        HubError(ResponseHead(status: status, retryAfter: wait), body: Array(body.utf8))
    }

    @Test(
        "A failure that can pass is transient, and has the wait that the hub asks for",
        arguments: [408, 425, 429, 500, 502, 503, 504, 507])
    func transient(status: Int) {
        let error = error(status, #"{"detail":"The disk is full.","status":507}"#, wait: .seconds(7))
        #expect(error.isTransient)
        #expect(error.code == .unavailable)
        #expect(error.retryAfter == .seconds(7))
        #expect(error.detail == "The disk is full.")
        #expect(error.eventsToTry(of: 5) == nil)
        #expect(self.error(status, "<html>").detail == nil)
    }

    @Test("The words of the hub are separate from the message")
    func detail() {
        let error = error(400, #"{"detail":"topic is missing.","field":"topic","line":2,"x":[]}"#)
        #expect(error.detail == "topic is missing.")
        #expect(!error.description.contains("topic"))
        #expect(self.error(404, "<html>").message.contains("URL"))
        #expect(self.error(401).message.contains("token"))
        #expect(self.error(307).message.contains("307"))
    }

    @Test("The events before the one that the hub names are tried without it")
    func namedLine() {
        let named = error(400, #"{"line":3}"#)
        #expect(named.eventsToTry(of: 5) == 2)
        #expect(named.about(10..<15).events == 10..<11)
        #expect(error(413, #"{"line":1}"#).eventsToTry(of: 5) == nil)
    }

    @Test("If the hub names no line, the half is tried", arguments: [400, 403, 413, 422])
    func bisection(status: Int) {
        #expect(error(status).eventsToTry(of: 5) == 2)
        #expect(error(status, #"{"line":9}"#).eventsToTry(of: 5) == 2)
        #expect(error(status).eventsToTry(of: 2) == 1)
        #expect(error(status).eventsToTry(of: 1) == nil)
        #expect(error(status).about(10..<11).events == 10..<11)
    }

    @Test("A refused request concerns all its events", arguments: [301, 401, 404, 405, 415])
    func refusedRequest(status: Int) {
        #expect(error(status).code == .refused)
        #expect(error(status).eventsToTry(of: 5) == nil)
        #expect(error(status).about(10..<15).events == 10..<15)
    }
}
