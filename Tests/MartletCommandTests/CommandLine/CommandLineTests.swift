// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Testing

@testable import MartletCommand

@Suite("Command line")
struct CommandLineTests {
    /// How the process ends when parsing these arguments fails or asks for help.
    private func outcome(_ arguments: [String]) throws -> Outcome {
        let error = #expect(throws: (any Error).self) {
            var command = try RootCommand.parseAsRoot(arguments)
            try command.run()
        }
        return Outcome(of: try #require(error))
    }

    @Test("Options are collected by name, flags as true, and only those given")
    func options() throws {
        let arguments = ["serve", "--port", "1", "--history-bytes=1GiB", "--demo", "--config", "hub.json"]
        let command = try #require(try RootCommand.parseAsRoot(arguments) as? ServeCommand)
        #expect(
            command.options.texts == ["port": "1", "history-bytes": "1GiB", "demo": "true", "config": "hub.json"]
        )
    }

    @Test(
        "A usage error is one line with exit code 2",
        arguments: [
            (["serve", "--prot", "1"], "Unknown option '--prot'. Did you mean '--port'? (see 'martlet serve --help')"),
            (["serve", "--strange"], "Unknown option '--strange' (see 'martlet serve --help')"),
            (["serve", "--port"], "Missing value for '--port <number>' (see 'martlet serve --help')"),
            (["serve", "extra"], "Unexpected argument 'extra' (see 'martlet serve --help')"),
            (["swerve"], "Unexpected argument 'swerve' (see 'martlet --help')"),
        ]
    )
    func usageError(arguments: [String], message: String) throws {
        let outcome = try outcome(arguments)
        #expect(outcome.text == "martlet: " + message)
        #expect(outcome.exitCode == 2)
    }

    @Test("A configuration error has exit code 2")
    func configurationError() {
        let outcome = Outcome(of: SettingsError("--port: bad"))
        #expect(outcome.text == "martlet: --port: bad")
        #expect(outcome.exitCode == 2)
    }

    @Test("Any other error is put on one line, with exit code 1")
    func runtimeError() {
        struct Failure: Error, CustomStringConvertible {
            let description = "disk\n  full"
        }
        let outcome = Outcome(of: Failure())
        #expect(outcome.text == "martlet: disk full")
        #expect(outcome.exitCode == 1)
    }

    @Test("The version is asked for with exit code 0", arguments: [["--version"], ["serve", "--version"]])
    func version(arguments: [String]) throws {
        let outcome = try outcome(arguments)
        #expect(outcome.text == RootCommand.version)
        #expect(outcome.exitCode == 0)
    }

    @Test("The help lists every option with its range, default and environment variable")
    func help() throws {
        let outcome = try outcome(["serve", "--help"])
        #expect(outcome.exitCode == 0)
        let words = outcome.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        for setting in HubSettings.table {
            #expect(words.contains("--\(setting.name) "))
            #expect(words.contains(setting.summary))
        }
        #expect(words.contains("from 100ms to 1h. Default: 15s. Environment: MARTLET_HEARTBEAT."))
        #expect(words.contains("Default: the descriptor limit minus 512. Environment: MARTLET_MAX_CONNECTIONS."))
    }

    @Test("Without a subcommand the help is shown")
    func noSubcommand() throws {
        let outcome = try outcome([])
        #expect(outcome.exitCode == 0)
        #expect(outcome.text.contains("serve"))
    }
}
