// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MartletOutgoing
import Testing

@testable import MartletCommand

@Suite struct PublishCommandTests {
    @Test func `an event is put together from the options`() throws {
        let command = try PublishCommand.parse([
            "http://h:1", "orders/42", "shipped", "--id", "1", "--type", "t", "--retry", "5", "--key", "k", "--private",
        ])
        let event = try #require(command.event)
        #expect(event.data == "shipped")
        #expect(
            event.template
                == EventTemplate(topic: "orders/42", id: "1", type: "t", retry: 5, key: "k", isPrivate: true))
        #expect(command.retryFor == .seconds(30))
    }

    @Test(arguments: [["t"], ["t", "-"]])
    func `without data, or with a dash, lines are the data`(arguments: [String]) throws {
        let command = try PublishCommand.parse(["http://h", "--type", "x"] + arguments)
        #expect(command.event == nil)
        #expect(command.input == .data(EventTemplate(topic: "t", type: "x")))
    }

    @Test func `lines may be events`() throws {
        #expect(try PublishCommand.parse(["http://h", "--ndjson"]).input == .events)
    }

    @Test(
        arguments: [
            [], ["http://h"], ["http://h", "t", "--ndjson"], ["http://h", "--ndjson", "--private"],
            ["http://h", "--ndjson", "--type", "x"], ["http://h", "t", "--id", "1"],
            ["http://h", "t", "-", "--id", "1"],
            ["http://h", "t", "d", "--retry", "-1"], ["http://h", "t", "d", "--retry-for", "x"], ["h", "t", "d"],
            ["ftp://h", "t", "d"], ["http://h/events", "t", "d"], ["http://h/events/t", "t", "d"],
            ["http://h?a", "t", "d"],
            ["http://", "t", "d"], ["http://h", "t", "d", "more"], ["http://h:65536", "t", "d"],
            ["http://h#a", "t", "d"],
            ["http://h/e%76ents:0/events", "t", "d"], ["http://h\u{301}:99999", "t", "d"],
            ["http://h", "t", "d", "--header", "a: \u{1}"],
        ])
    func `bad arguments are usage errors of one line`(arguments: [String]) throws {
        let error = #expect(throws: (any Error).self) { try PublishCommand.parse(arguments) }
        let outcome = Outcome(of: try #require(error))
        #expect(outcome.exitCode == 2)
        #expect(!outcome.text.contains("\n"))
    }

    @Test func `a password in the URL is not shown`() throws {
        let error = #expect(throws: (any Error).self) { try PublishCommand.parse(["http://u:sesame@h", "t", "d"]) }
        #expect(!Outcome(of: try #require(error)).text.contains("sesame"))
    }

    @Test(
        arguments: [
            ("http://h:8080", "http://h:8080/events"), ("https://h/", "https://h/events"),
            ("http://[::1]:80/hub/", "http://[::1]:80/hub/events"), ("HTTP://h/my-events", "HTTP://h/my-events/events"),
        ])
    func `batches go to the events of a hub, also below a path`(url: String, events: String) throws {
        #expect(try HubAddress(url).events.text == events)
    }

    @Test("An event is posted to its topic with everything else in the query")
    func eventURL() throws {
        let address = try HubAddress("http://h/hub")
        #expect(try address.event(EventTemplate(topic: "a/b \u{E9}")).text == "http://h/hub/events/a%2Fb%20%C3%A9")
        let template = EventTemplate(topic: "t", id: "1&2", type: "#", retry: 5, key: "+", isPrivate: true)
        #expect(
            try address.event(template).text
                == "http://h/hub/events/t?id=1%262&type=%23&retry=5&key=%2B&private=true")
    }
}
