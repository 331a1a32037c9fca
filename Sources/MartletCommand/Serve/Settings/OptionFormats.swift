// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletAuth
import MartletHTTP
import MartletOutgoing
import MartletSQLite
import MartletSupport

extension SettingFormat<ListenAddress> {
    static var listenAddress: Self {
        Self(
            valueName: "host",
            expectation: "a host name or address, or unix: and a path of at most \(ListenAddress.pathBytes) bytes",
            parse: { ListenAddress($0) }, describe: \.text)
    }
}

extension SettingFormat<String> {
    /// The path of a file.
    static var file: Self {
        Self(
            valueName: "file", expectation: "a path",
            parse: { $0.isEmpty || $0.containsExactly(0) ? nil : $0 }, describe: { $0 })
    }

    /// The name of a subscription of Service Bus.
    static var nodeName: Self {
        Self(
            valueName: "name", expectation: "1 to 50 letters, digits, dots, hyphens and underscores",
            parse: { text in
                let isName = text.utf8.allSatisfy { byte in
                    byte.isDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                        || "._-".utf8.contains(byte)
                }
                return isName && (1...50).contains(text.utf8.count) ? text : nil
            },
            describe: { $0 })
    }

    static var url: Self {
        Self(
            valueName: "url",
            expectation: "a URL with https:// or http://, a host, no user, no spaces and a port up to 65535",
            parse: { (try? OutgoingURL(setting: $0)) == nil ? nil : $0 }, describe: { $0 })
    }

    /// A URL, or `file:` and the path of a file.
    static var location: Self {
        Self(
            valueName: "url", expectation: "\(url.expectation), or file: and a path",
            parse: { text in FileReference.path(in: text).map { file.parse($0) == nil ? nil : text } ?? url.parse(text)
            },
            describe: { $0 })
    }

    /// A `token` of RFC 9110 section 5.6.2.
    static var cookieName: Self {
        Self(
            valueName: "name", expectation: "a name of letters, digits and !#$%&'*+-.^_`|~",
            parse: { $0.utf8.isHTTPToken ? $0 : nil }, describe: { $0 })
    }
}

/// The form `file:PATH`, which stands for the content of a file.
enum FileReference {
    /// The path in a text of this form; `nil` if the text has another form.
    static func path(in text: String) -> String? { text.cutting(prefix: "file:").map { String($0) } }
}

extension SettingFormat<SecretText> {
    /// A key, or `file:` and the path of a file that holds it.
    static var secret: Self {
        Self(
            valueName: "file:path", expectation: "a key, or file: and the path of a file that holds one",
            isSecret: true, parse: { $0.isEmpty ? nil : SecretText(text: $0) }, describe: \.text)
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

extension SettingFormat<[TopicSelector]> {
    /// Selectors of topics with spaces between them. A template may have commas.
    static func selectors(example: String) -> Self {
        Self(
            valueName: "topics",
            expectation: "one or more topics, templates such as \(example), or *, with spaces between them",
            parse: { text in
                let words = text.words(between: " \t\r\n")
                return words.isEmpty ? nil : words.map { TopicSelector(String($0)) }
            },
            describe: { $0.isEmpty ? example : $0.map(\.text).joined(separator: " ") })
    }
}

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

/// The characters that can stand between the members of a list.
let listSeparators = " ,\t\r\n"

extension StringProtocol {
    /// The parts between any of these ASCII characters, without empty parts.
    func words(between separators: String) -> [SubSequence] {
        var words: [SubSequence] = [self[...]]
        for separator in separators.utf8 { words = words.flatMap { $0.splitExactly(at: separator) } }
        return words.filter { !$0.isEmpty }
    }
}

extension SettingFormat<LogLocation> {
    static var log: Self {
        Self(
            valueName: "log",
            expectation:
                "memory, sqlite:PATH, redis://HOST:PORT/DATABASE?stream=NAME, kafka://HOST:PORT/TOPIC?OPTION=VALUE "
                + "(the options are partitions, map, encoding, state, and settings of librdkafka, which have a dot in their "
                + "name), amqps://KEYNAME:KEY@HOST/TOPIC?OPTION=VALUE (auth, encoding, ca, target, source), or a connection "
                + "string of Service Bus with EntityPath=TOPIC",
            parse: LogLocation.init, describe: \.text)
    }

    /// A file of SQLite.
    static var store: Self {
        Self(
            valueName: "store", expectation: "sqlite:PATH",
            parse: { text in
                guard case .sqlite(let path)? = LogLocation(text) else { return nil }
                return .sqlite(path: path)
            },
            describe: \.text)
    }
}

extension SettingFormat<Durability> {
    static var durability: Self {
        Self(
            valueName: "durability", expectation: "commit or os", parse: Durability.init(rawValue:),
            describe: \.rawValue)
    }
}

extension SettingFormat<TokenAlgorithm> {
    static var algorithm: Self {
        Self(
            valueName: "name",
            expectation: "one of \(TokenAlgorithm.allCases.map(\.rawValue).joined(separator: ", "))",
            parse: { TokenAlgorithm(rawValue: $0) }, describe: \.rawValue)
    }
}

extension SettingFormat<LogFormat> {
    static var logFormat: Self {
        Self(
            valueName: "format", expectation: "text or json", parse: LogFormat.init(rawValue:), describe: \.rawValue)
    }
}

extension SettingFormat<Logger.Level> {
    static var logLevel: Self {
        Self(
            valueName: "level",
            expectation: "one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))",
            parse: { Logger.Level(rawValue: $0) }, describe: \.rawValue)
    }
}
