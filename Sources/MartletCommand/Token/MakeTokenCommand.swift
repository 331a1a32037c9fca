// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Martlet
import MartletAuth
import MartletHTTP

/// `martlet token make`: prints a token with a claim `mercure`.
struct MakeTokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make",
        abstract: "Print a token for a hub.",
        usage: "martlet token (--key-file <file> | --key-env <name>) [<options>]",
        discussion: """
            A selector is *, the name of a topic, or a URI template (RFC 6570) such as orders/{id}. Put it in single \
            quotes, so that the shell does not change it.

            Keep the key where only the server can read it. openssl rand -hex 32 makes a secret.

            A duration is a whole number with a unit (15s, 2m, 24h, 7d); without a unit it is in seconds.
            """
    )

    @OptionGroup var key: KeyOptions

    @Option(help: ArgumentHelp("A selector of topics to publish to; repeatable.", valueName: "selector"))
    var publish: [String] = []

    @Option(
        help: ArgumentHelp("A selector of topics to receive private events of; repeatable.", valueName: "selector")
    )
    var subscribe: [String] = []

    @Option(
        help: ArgumentHelp("JSON about the subscriber, which other clients can see.", valueName: "json"),
        transform: json)
    var payload: JSONValue?

    @Option(help: ArgumentHelp("The subject: the claim sub.", valueName: "name"))
    var subject: String?

    @Option(help: ArgumentHelp("An audience: the claim aud; repeatable.", valueName: "name"))
    var audience: [String] = []

    @Option(help: ArgumentHelp("The issuer: the claim iss.", valueName: "name"))
    var issuer: String?

    @Option(help: ArgumentHelp("The name of the key in a key set: the kid of the header.", valueName: "name"))
    var kid: String?

    @Option(
        name: .customLong("for"),
        help: ArgumentHelp("How long the token is valid. Default: 1h.", valueName: "duration"),
        transform: value(.duration(.seconds(1) ... .seconds(10 * 365 * 86_400))))
    var validity = Duration.seconds(3600)

    func run() async throws {
        for warning in warnings { FileHandle.standardError.write(Data("martlet: \(warning)\n".utf8)) }
        print(try await token(environment: ProcessInfo.processInfo.environment, now: Date()))
    }

    /// - Throws: ``SettingsError`` if there is no key, or an unusable one.
    func token(environment: [String: String], now: Date) async throws -> String {
        guard let text = try key.text(environment: environment) else {
            throw SettingsError("a token needs a key; give --key-file or --key-env")
        }
        do {
            return try await TokenSigner(text: text, algorithm: key.algorithm)
                .token(claiming: claims(now: now), keyID: kid)
        } catch let error as KeyError {
            throw self.key.error(error)
        }
    }

    private func claims(now: Date) -> JSONValue {
        var mercure: [String: JSONValue] = [:]
        if !publish.isEmpty { mercure["publish"] = .array(publish.map { .string($0) }) }
        if !subscribe.isEmpty { mercure["subscribe"] = .array(subscribe.map { .string($0) }) }
        mercure["payload"] = payload
        let seconds = Int(now.timeIntervalSince1970)
        var claims: [String: JSONValue] = [
            "mercure": .object(mercure), "iat": .number("\(seconds)"),
            "exp": .number("\(seconds + Int(validity.components.seconds))"),
        ]
        claims["sub"] = subject.map { .string($0) }
        claims["iss"] = issuer.map { .string($0) }
        // A single audience is a string, as most libraries write it (RFC 7519 section 4.1.3).
        let audiences = audience.map { JSONValue.string($0) }
        claims["aud"] = audiences.count > 1 ? .array(audiences) : audiences.first
        return .object(claims)
    }

    /// Warnings about selectors that are probably mistakes.
    var warnings: [String] {
        let options = publish.map { ("--publish", $0) } + subscribe.map { ("--subscribe", $0) }
        return options.compactMap { option, text in
            SelectorAdvice(TopicSelector(text)).warning.map { "warning: \(option) \(text): \($0)" }
        }
    }

    @Sendable private static func json(_ text: String) throws -> JSONValue {
        do { return try JSONValue(parsing: text.utf8) } catch { throw ValidationError("\(error)") }
    }
}
