// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletOutgoing
import TestSupport
import Testing

@testable import MartletClient

@Suite("Random servers of the client", .timeLimit(.minutes(60))) struct ClientFuzzTests {
    private static let stream = [
        "data", "data: ", "event: ", "id", "id: ", "retry: ", "retry", ":", " ", "\n", "\n\n", "\r", "\r\n", "\0",
        "\u{1}", "\u{7F}",
        "0", "12", "9223372036854775807", "99999999999999999999", "\u{E9}", "\u{301}", "\u{1F426}", "\u{FEFF}",
        "xxxxxxxx",
    ]

    @Test("After any stream the next request can be sent, and its wait is within the bounds")
    func streams() async throws {
        var input = FuzzInput(pieces: Self.stream)
        var random = SeededGenerator(seed: input.seed)
        let configuration = EventSource.Configuration(maximumEventBytes: 64)
        var connection = try ConnectionStateMachine(to: "http://a/", configuration, lastEventID: "")
        while await input.next() {
            _ = try connection.connect(token: nil)
            _ = try connection.answered(
                ResponseHead(status: 200, contentTypes: ["text/event-stream"]), using: &random)
            var elements: [EventStreamParser.Element] = []
            for part in input.parts() {
                do { try connection.received(part, into: &elements) } catch {
                    if error.code != .tooLarge { input.fail("\(error)") }
                    break
                }
            }
            guard case .wait(let wait, _) = connection.lost(.ended, using: &random),
                (Backoff.least...Backoff.longest).contains(wait)
            else {
                input.fail("The wait is out of bounds")
                continue
            }
        }
    }

    private static let fields = [
        "text/event-stream", "text/html", "*/*", "text/", "/", ";", "charset=", "\"", "\\", ",", " ", "\t", "gzip",
        "identity",
        "Sun, ", "06 ", "Nov ", "1994 ", "94 ", "08:49:37 ", "GMT", "06-Nov-94 ", "99", "-1", "0", ":", "\u{E9}",
        "\u{301}", "\u{212A}",
    ]

    @Test("Any fields of an answer lead to a next step or an error")
    func answers() async throws {
        var input = FuzzInput(pieces: Self.fields)
        var random = SeededGenerator(seed: input.seed)
        var connection = try ConnectionStateMachine(to: "http://a/", EventSource.Configuration(), lastEventID: "")
        while await input.next() {
            let field = input.text
            let wait = RetryAfter.wait(
                field, date: input.choose([nil, field, "Sun, 06 Nov 1994 08:49:37 GMT"]), now: 0)
            if !(.zero...RetryAfter.longest).contains(wait) { input.fail("The wait is out of bounds") }
            let answer = ResponseHead(
                status: input.choose([200, 204, 301, 303, 307, 404, 429, 503]),
                contentTypes: input.parts().map { _ in field },
                contentEncodings: input.choose([[], [field]]), location: input.choose([nil, field, "/", "//h/"]),
                retryAfter: wait)
            _ = try connection.connect(token: nil)
            do throws(EventSourceError) {
                if case .wait(let wait, _) = try connection.answered(answer, using: &random), wait > Backoff.longest {
                    input.fail("The wait is out of bounds")
                }
            } catch {
                if error.message.isEmpty { input.fail("There is no message") }
            }
        }
    }

    private static let links = [
        "<", ">", ";", ",", "=", "\"", "\\", " ", "rel", "rel=", "mercure", "self", "last-event-id=", "anchor=",
        "https://b/hub", "/h",
        "//", "..", "?x", "#y", "urn:x", "\u{E9}", "\u{301}", "http://h:99999/", "http://u@h/",
    ]

    @Test("The hubs of any Link header have valid URLs")
    func links() async throws {
        var input = FuzzInput(pieces: Self.links)
        let resource = try OutgoingURL("https://a/books/1?x=y")
        while await input.next(from: ["<https://b/hub>; rel=mercure; last-event-id=\"1\", </x>; rel=self"]) {
            guard let found = try? MercureDiscovery(of: resource, links: WebLink.all(in: input.text)) else { continue }
            for url in found.hubURLs where (try? OutgoingURL(url)) == nil { input.fail("A hub cannot be asked") }
        }
    }
}
