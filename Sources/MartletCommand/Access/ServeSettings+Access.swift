// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletHTTP

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
            valueName: "url", expectation: "a URL that begins with https://, http:// or file:",
            parse: { text in
                ["https://", "http://", "file:"].contains { text.hasPrefix($0) && text.count > $0.count } ? text : nil
            },
            describe: { $0 })
    }

    static var url: Self {
        Self(
            valueName: "url", expectation: "a URL that begins with https:// or http://",
            parse: { text in
                ["https://", "http://"].contains { text.hasPrefix($0) && text.count > $0.count } ? text : nil
            },
            describe: { $0 })
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

extension SettingFormat<[OriginPattern]> {
    /// Origins with spaces or commas between them.
    static var origins: Self {
        Self(
            valueName: "origins",
            expectation: "origins such as https://example.com or https://*.example.com with spaces between them, or *",
            parse: { text in
                let words = text.split { $0 == " " || $0 == "," || $0.isNewline }
                let origins = words.compactMap { OriginPattern(String($0)) }
                return origins.count == words.count && !origins.isEmpty ? origins : nil
            },
            describe: { $0.isEmpty ? "https://example.com" : $0.map(\.text).joined(separator: " ") })
    }
}
