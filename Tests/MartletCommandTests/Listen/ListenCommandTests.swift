// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MartletClient
import Testing

@testable import MartletCommand

@Suite struct ListenCommandTests {
    private func listener(
        _ arguments: [String] = [], environment: [String: String] = [:], isTerminal: Bool = false
    ) throws -> Listener {
        try ListenCommand.parse(["http://h/e"] + arguments).listener(environment: environment, isTerminal: isTerminal)
    }

    @Test("The request has the values of the options")
    func requestOptions() throws {
        let command = try ListenCommand.parse([
            "http://h/e?x=1", "--topic", "a b", "--topic", "c/{d}", "--since", "15m", "--last-event-id", "7", "--count",
            "3", "--retry-for", "5s",
        ])
        #expect(command.requestURL == "http://h/e?x=1&topic=a%20b&topic=c%2F%7Bd%7D&since=15m")
        let listener = command.listener(environment: [:], isTerminal: false)
        #expect(listener.source.lastEventID == "7")
        #expect(listener.count == 3)
        #expect(listener.patience == .seconds(5))
    }

    @Test("Colours are for terminals that want them")
    func terminals() throws {
        #expect(try listener(isTerminal: true).format == .text(isColored: true))
        #expect(try listener(environment: ["NO_COLOR": ""], isTerminal: true).format == .text(isColored: true))
        #expect(try listener(environment: ["NO_COLOR": "1"], isTerminal: true).format == .text(isColored: false))
        #expect(try listener(environment: ["TERM": "dumb"], isTerminal: true).format == .text(isColored: false))
        #expect(try listener().format == .text(isColored: false))
        #expect(try listener(["--json"], isTerminal: true).format == .json)
    }

    @Test(
        "Wrong values are usage errors of one line",
        arguments: [
            [], ["http://h/", "--count", "0"], ["http://h/", "--since", "15"], ["http://h/", "--since", "soon"],
            ["http://h/", "--retry-for", "0"], ["http://h/", "--read-timeout", "x"], ["http://h/", "extra"],
        ])
    func wrongValues(arguments: [String]) throws {
        let error = #expect(throws: (any Error).self) { try ListenCommand.parse(arguments) }
        let outcome = Outcome(of: try #require(error))
        #expect(outcome.exitCode == 2)
        #expect(!outcome.text.contains("\n"))
    }

    @Test(
        "The exit code says why the command has ended",
        arguments: [
            (.invalidURL, 2), (.invalidRequest, 2), (.refused, 3), (.wrongContentType, 1), (.tooLarge, 1),
        ] as [(EventSourceError.Code, Int32)])
    func exitCode(code: EventSourceError.Code, exitCode: Int32) {
        let outcome = Outcome(of: ClientError(EventSourceError(code, "What to do.")))
        #expect(outcome == Outcome(of: ClientError(.init(rawValue: exitCode) ?? .failed, "What to do.")))
        #expect(outcome.exitCode == exitCode)
    }
}
