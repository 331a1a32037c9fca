// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Testing

@testable import MartletCommand

@Suite struct ServerOptionsTests {
    @Test("Headers of one name are one list, in any case")
    func headerList() throws {
        let options = try ServerOptions.parse([
            "--header", "X-A: 1", "--header", "x-a:2", "--header", "B:  c: d",
        ])
        #expect(options.fields == ["X-A": "1, 2", "B": "c: d"])
    }

    @Test("Cookies are joined as cookies, whatever the case of the name")
    func cookies() throws {
        let options = try ServerOptions.parse(["--header", "Cookie: a=1", "--header", "COOKIE: b=2; c=3"])
        #expect(options.fields == ["Cookie": "a=1; b=2; c=3"])
        // The Kelvin sign is not a k.
        #expect(HeaderField("Coo\u{212A}ie: a") == nil)
    }

    @Test(
        "An invalid header is a usage error that does not show it",
        arguments: [
            "", "x", ": 1", "a b: 1", "a: b\r\nc: d", "a: b\u{1}", "a: \u{7F}", "a\u{301}: b", "é: 1", "a\u{0}: b",
        ])
    func invalidHeader(text: String) throws {
        let error = #expect(throws: (any Error).self) {
            try ListenCommand.parse(["http://h/", "--header", text, "--header", "sesame"])
        }
        let outcome = Outcome(of: try #require(error))
        #expect(outcome.exitCode == 2)
        #expect(outcome.text.contains("--header"))
        #expect(!outcome.text.contains("sesame"))
    }

    @Test("A token comes from the environment, without the blanks around it")
    func tokenVariable() throws {
        let options = try ServerOptions.parse(["--token-env", "TOKEN"])
        #expect(try options.token(environment: ["TOKEN": " abc.def\n"]) == "abc.def")
        #expect(try ServerOptions.parse([]).token(environment: ["TOKEN": "abc"]) == nil)
    }

    @Test("A token comes from a file, which is read each time")
    func tokenFile() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID()).token").path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let options = try ServerOptions.parse(["--token-file", path])
        for token in ["one", "two"] {
            try "\(token)\n".write(toFile: path, atomically: true, encoding: .utf8)
            #expect(try options.token(environment: [:]) == token)
        }
    }

    @Test(
        "An invalid token is a configuration error that does not show it",
        arguments: [
            (["--token-env", "MISSING"], "no variable MISSING"), (["--token-file", "/nowhere/x"], "/nowhere/x"),
            (["--token-env", "EMPTY"], "--token-env"), (["--token-env", "BAD"], "not a token"),
        ] as [([String], String)])
    func invalidToken(
        arguments: [String], message: String
    ) throws {
        let options = try ServerOptions.parse(arguments)
        let error = #expect(throws: SettingsError.self) {
            try options.token(environment: ["EMPTY": "\n", "BAD": "sesame open"])
        }
        #expect(error?.description.contains(message) == true)
        #expect(error?.description.contains("sesame") == false)
    }

    @Test("A token has only one source")
    func oneToken() {
        #expect(throws: (any Error).self) { try ServerOptions.parse(["--token-env", "A", "--token-file", "b"]) }
    }
}
