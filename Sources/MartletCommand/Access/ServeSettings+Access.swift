// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletHTTP
import MartletOutgoing

extension ServeSettings {
    /// The settings that say who may do what, in the order of the help.
    static let accessTable = [
        Setting(
            "publisher-key", \.access.publisher.key, .optional(.secret, example: .example), default: "none",
            help: "Key that tokens of publishers are checked with"),
        Setting(
            "publisher-alg", \.access.publisher.algorithm, .optional(.algorithm, example: .hs256),
            default: "HS256, with a set any but HS…",
            help: "Algorithm that tokens of publishers are signed with"),
        Setting(
            "publisher-jwks", \.access.publisher.set,
            .optional(.location, example: "https://login.example.com/.well-known/jwks.json"), default: "none",
            help: "JWKS with the keys that tokens of publishers are checked with"),
        Setting(
            "publisher-audience", \.access.publisher.audiences, .names(example: "https://hub.example.com"),
            default: "none", help: "Audiences (aud) of which tokens of publishers must have one; needed with a JWKS"),
        Setting(
            "publisher-issuer", \.access.publisher.issuers, .names(example: "https://login.example.com/"),
            default: "none", help: "Issuers (iss) of which one must have made the tokens of publishers"),
        Setting(
            "subscriber-key", \.access.subscriber.key, .optional(.secret, example: .example), default: "none",
            help: "Key that tokens of subscribers are checked with"),
        Setting(
            "subscriber-alg", \.access.subscriber.algorithm, .optional(.algorithm, example: .hs256),
            default: "HS256, with a set any but HS…",
            help: "Algorithm that tokens of subscribers are signed with"),
        Setting(
            "subscriber-jwks", \.access.subscriber.set,
            .optional(.location, example: "https://login.example.com/.well-known/jwks.json"), default: "none",
            help: "JWKS with the keys that tokens of subscribers are checked with"),
        Setting(
            "subscriber-audience", \.access.subscriber.audiences, .names(example: "https://hub.example.com"),
            default: "none", help: "Audiences (aud) of which tokens of subscribers must have one; needed with a JWKS"),
        Setting(
            "subscriber-issuer", \.access.subscriber.issuers, .names(example: "https://login.example.com/"),
            default: "none", help: "Issuers (iss) of which one must have made the tokens of subscribers"),
        Setting(
            "allow-any-audience", \.access.allowsAnyAudience, .flag,
            help: "Take tokens for any application from a JWKS that has no audience set"),
        Setting(
            "read-only", \.access.readOnly, .flag,
            help: "Only streams: whoever publishes here is refused, because that is done elsewhere"),
        Setting(
            "anonymous", \.access.anonymous, .flag,
            help: "Let clients subscribe without a token, to what is not private"),
        Setting(
            "roles", \.access.rolesFile, .optional(.file, example: "roles.json"), default: "none",
            help: "JSON file that says what the claims of a token allow, in place of its claim mercure"),
        Setting(
            "authorize-url", \.access.authorizeURL, .optional(.url, example: "http://127.0.0.1:3000/authorize"),
            default: "none", help: "Back end that is asked who may do what, in place of tokens"),
        Setting(
            "token-leeway", \.access.leeway, .duration(.zero ... .seconds(300)),
            help: "Time by which the clock of who makes tokens may differ"),
        Setting(
            "ticket-lifetime", \.access.ticketLifetime, .duration(.seconds(1) ... .seconds(3600)),
            help: "Time in which a one-time ticket has to be used"),
        Setting("cookie-name", \.access.cookieName, .cookieName, help: "Cookie that may hold the token"),
        Setting(
            "cors-origin", \.access.corsOrigins, .origins, default: "none",
            help: "Origins whose pages may subscribe; with * also without naming them, but then without cookies"),
        Setting(
            "publish-origin", \.access.publishOrigins, .origins, default: "none",
            help: "Origins whose pages may publish with a cookie"),
        Setting(
            "subscriptions", \.access.subscriptions, .flag,
            help: "Tell who may know it who is subscribed to what"),
    ]
}

extension SettingFormat<TokenAlgorithm> {
    /// The name of an algorithm.
    static var algorithm: Self {
        Self(
            valueName: "name",
            expectation: "one of \(TokenAlgorithm.allCases.map(\.rawValue).joined(separator: ", "))",
            parse: { TokenAlgorithm(rawValue: $0) }, describe: \.rawValue)
    }
}

extension SettingFormat<String> {
    /// A URL, or the path of a file behind `file:`.
    static var location: Self {
        Self(
            valueName: "url", expectation: "\(url.expectation), or file: and a path",
            parse: { text in Secret.path(in: text).map { file.parse($0) == nil ? nil : text } ?? url.parse(text) },
            describe: { $0 })
    }

    static var url: Self {
        Self(
            valueName: "url",
            expectation: "a URL with https:// or http://, a host, no user, no spaces and a port up to 65535",
            parse: { (try? OutgoingURL(setting: $0)) == nil ? nil : $0 }, describe: { $0 })
    }

    /// A `token` of RFC 9110 section 5.6.2.
    static var cookieName: Self {
        Self(
            valueName: "name", expectation: "a name of letters, digits and !#$%&'*+-.^_`|~",
            parse: { text in
                let isToken = text.utf8.allSatisfy { byte in
                    switch Unicode.Scalar(byte) {
                    case "a"..."z", "A"..."Z", "0"..."9": true
                    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                    }
                }
                return isToken && !text.isEmpty ? text : nil
            },
            describe: { $0 })
    }
}

extension SettingFormat<[String]> {
    /// Texts with spaces or commas between them.
    static func names(example: String) -> Self {
        Self(
            valueName: "names", expectation: "one or more texts with spaces between them",
            parse: { text in
                let names = text.words(between: listSeparators).map(String.init)
                return names.isEmpty ? nil : names
            },
            describe: { $0.isEmpty ? example : $0.joined(separator: " ") })
    }
}

/// What may be between the members of a list.
private let listSeparators = " ,\t\r\n"

extension SettingFormat<[OriginPattern]> {
    /// Origins with spaces or commas between them.
    static var origins: Self {
        Self(
            valueName: "origins",
            expectation: """
                origins with spaces between them, each a scheme, a host and perhaps a port up to 65535 without a path, such \
                as https://example.com, https://*.example.com or capacitor://localhost; or *, or null
                """,
            parse: { text in
                let words = text.words(between: listSeparators)
                let origins = words.compactMap { OriginPattern(String($0)) }
                return origins.count == words.count && !origins.isEmpty ? origins : nil
            },
            describe: { $0.isEmpty ? "https://example.com" : $0.map(\.text).joined(separator: " ") })
    }
}
