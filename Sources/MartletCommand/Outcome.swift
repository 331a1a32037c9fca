// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// How the process ends after an error, or after a request for help or for the version.
///
/// | Exit code | Meaning |
/// |---|---|
/// | 0 | help or version, printed on standard output |
/// | 1 | failure while running |
/// | 2 | usage or configuration error |
/// | 3 | the server refuses what is asked of it (``ClientError``) |
/// | 4 | there is no server, or no answer (``ClientError``) |
///
/// A failure is one line on standard error.
struct Outcome: Equatable {
    let text: String
    let exitCode: Int32

    /// - Parameter error: What parsing or running the command threw.
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

    /// What controls a terminal is escaped: a message may have in it what a server or a file says.
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
