// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

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
            ServeCommand.self, ListenCommand.self, PublishCommand.self, TokenCommand.self, HealthCommand.self,
            BenchCommand.self,
        ]
    )

    /// Runs the subcommand that the command line names, and ends the process as ``Outcome`` describes.
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

/// How the process ends after an error, or after a request for help or for the version.
///
/// | Exit code | Meaning |
/// |---|---|
/// | 0 | help or version, printed on standard output |
/// | 1 | failure while running |
/// | 2 | usage or configuration error |
/// | 3 | the server refuses the request (``ClientError``) |
/// | 4 | the server cannot be reached, or does not answer (``ClientError``) |
///
/// A failure is one line on standard error.
struct Outcome: Equatable {
    let text: String
    let exitCode: Int32

    /// - Parameter error: The error of parsing or running the command.
    init(of error: any Error) {
        let code = RootCommand.exitCode(for: error)
        if code == .success {
            self.init(text: RootCommand.fullMessage(for: error), exitCode: 0)
        } else if code == .validationFailure {
            // The usage that follows the message ends with: See 'martlet serve --help' for more information.
            // characters: help of ours
            let help = RootCommand.fullMessage(for: error).split(separator: "'").dropLast().last ?? "martlet --help"
            self.init(failure: "\(RootCommand.message(for: error)) (see '\(help)')", exitCode: 2)
        } else {
            self.init(failure: RootCommand.message(for: error), exitCode: Self.exitCode(of: error))
        }
    }

    private static func exitCode(of error: any Error) -> Int32 {
        if let error = error as? ClientError { return error.kind.rawValue }
        return error is SettingsError ? 2 : 1
    }

    private init(text: String, exitCode: Int32) {
        self.text = text
        self.exitCode = exitCode
    }

    /// Escapes control characters: a message may quote text from a server or a file.
    private init(failure message: String, exitCode: Int32) {
        // characters: any white space
        let words = message.split(whereSeparator: \.isWhitespace)
        self.init(text: "martlet: " + words.joined(separator: " ").visible, exitCode: exitCode)
    }

    /// Prints the text and ends the process.
    func end() -> Never {
        let stream: FileHandle = exitCode == 0 ? .standardOutput : .standardError
        stream.write(Data("\(text)\n".utf8))
        exit(exitCode)
    }
}

/// Options or settings that a subcommand cannot run with.
struct SettingsError: Error, Equatable, CustomStringConvertible {
    /// The option, what is wrong with it and what to do, in one line.
    let description: String

    init(_ description: String) { self.description = description }
}
