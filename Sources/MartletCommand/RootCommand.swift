// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The `martlet` command line.
@main
struct RootCommand: AsyncParsableCommand {
    /// The version of the command, the hub and the libraries.
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "Real-time server push over Server-Sent Events.",
        version: version,
        subcommands: [
            ServeCommand.self, ListenCommand.self, PublishCommand.self, TokenCommand.self, BenchCommand.self,
        ]
    )

    /// Runs the subcommand named on the command line and ends the process as ``Outcome`` says.
    static func main() async {
        do {
            var command = try await asyncParseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            Outcome(of: error).end()
        }
    }
}
