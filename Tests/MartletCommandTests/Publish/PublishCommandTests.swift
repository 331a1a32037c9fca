// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MartletClient
import Testing

@testable import MartletCommand

@Suite struct PublishCommandTests {
    @Test("An event has the values of the options")
    func eventOptions() throws {
        let command = try PublishCommand.parse([
            "http://h:1", "orders/42", "shipped", "--id", "1", "--type", "t", "--retry", "5", "--key", "k", "--private",
        ])
        #expect(
            command.event
                == HubEvent("shipped", to: "orders/42", id: "1", type: "t", retry: 5, key: "k", isPrivate: true))
        #expect(command.retryFor == .seconds(30))
    }

    @Test("Without data, or with a dash, the lines are the data", arguments: [["t"], ["t", "-"]])
    func linesAsData(arguments: [String]) throws {
        let command = try PublishCommand.parse(["http://h", "--type", "x"] + arguments)
        #expect(command.event == nil)
        #expect(command.inputFormat == .data(HubEvent(to: "t", type: "x")))
    }

    @Test("Lines can be events")
    func ndjson() throws {
        #expect(try PublishCommand.parse(["http://h", "--ndjson"]).inputFormat == .events)
    }

    @Test(
        "Wrong arguments are usage errors of one line",
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
    func wrongArguments(arguments: [String]) throws {
        let error = #expect(throws: (any Error).self) { try PublishCommand.parse(arguments) }
        let outcome = Outcome(of: try #require(error))
        #expect(outcome.exitCode == 2)
        #expect(!outcome.text.contains("\n"))
    }

    @Test("An error does not show a password in the URL")
    func password() throws {
        let error = #expect(throws: (any Error).self) { try PublishCommand.parse(["http://u:sesame@h", "t", "d"]) }
        #expect(!Outcome(of: try #require(error)).text.contains("sesame"))
    }

    @Test(
        "The exit code says why a hub did not publish",
        arguments: [
            (.invalidURL, nil, nil, 2, "What to do."), (.invalidRequest, nil, nil, 2, "What to do."),
            (.refused, 404, nil, 3, "What to do."), (.refused, 400, "No topic.", 3, "No topic."),
            (.refused, 401, nil, 3, "The hub requires a token. Give --token-file."),
            (.unavailable, nil, nil, 4, "What to do."), (.timedOut, nil, nil, 4, "What to do."),
            (.unavailable, 507, "The disk is full.", 4, "The server answered 507: The disk is full."),
            (.invalidAnswer, 200, nil, 1, "What to do."),
        ] as [(HubError.Code, Int?, String?, Int32, String)])
    func exitCode(code: HubError.Code, status: Int?, detail: String?, exitCode: Int32, text: String) {
        let error = ClientError(HubError(code, status: status, "What to do.", detail: detail))
        #expect(error.kind.rawValue == exitCode)
        #expect(error.description == text)
    }
}
