// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletHTTP

/// How a kind of value is written, and which values of it are accepted.
struct SettingFormat<Value: Sendable>: Sendable {
    /// What the value is called in the help; nil for a flag.
    var valueName: String?
    /// What a value has to be, with its range: "a duration from 1s to 1h".
    let expectation: String
    /// Whether the value must not be shown.
    var isSecret = false
    /// The value that a text stands for; nil if the text is malformed or the value out of range.
    let parse: @Sendable (String) -> Value?
    /// The text that stands for a value.
    let describe: @Sendable (Value) -> String
}

extension SettingFormat where Value: Comparable {
    private init(
        _ kind: String,
        as valueName: String,
        in range: ClosedRange<Value>,
        parse: @escaping @Sendable (String) -> Value?,
        describe: @escaping @Sendable (Value) -> String
    ) {
        self.init(
            valueName: valueName,
            expectation: "\(kind) from \(describe(range.lowerBound)) to \(describe(range.upperBound))",
            parse: { parse($0).flatMap { range.contains($0) ? $0 : nil } },
            describe: describe
        )
    }
}

extension SettingFormat<Int> {
    /// A whole number.
    static func count(_ range: ClosedRange<Int>) -> Self {
        Self("a whole number", as: "number", in: range, parse: { Int($0) }, describe: { String($0) })
    }

    /// A number of bytes, such as `64MiB`.
    static func bytes(_ range: ClosedRange<Int>) -> Self {
        Self("a size", as: "size", in: range, parse: UnitScale.bytes.parse, describe: UnitScale.bytes.describe)
    }
}

extension SettingFormat<Duration> {
    /// A duration in whole milliseconds, such as `15s`.
    static func duration(_ range: ClosedRange<Duration>) -> Self {
        Self(
            "a duration",
            as: "duration",
            in: range,
            parse: { UnitScale.milliseconds.parse($0).map { .milliseconds($0) } },
            describe: { UnitScale.milliseconds.describe(Int($0 / .milliseconds(1))) }
        )
    }
}

extension SettingFormat<Bool> {
    /// A switch: an option without a value on the command line, `true` or `false` elsewhere.
    static var flag: Self {
        Self(expectation: "true or false", parse: { Bool($0) }, describe: { String($0) })
    }
}

extension SettingFormat<String> {
    /// The address or name of this host to listen on.
    static var host: Self {
        Self(
            valueName: "host",
            expectation: "a host name or address",
            parse: { $0.isEmpty || $0.unicodeScalars.contains(where: \.isBlankOrControl) ? nil : $0 },
            describe: { $0 }
        )
    }

    /// The path of a file.
    static var file: Self {
        Self(
            valueName: "file", expectation: "a path",
            parse: { $0.isEmpty || $0.utf8.contains(0) ? nil : $0 }, describe: { $0 })
    }
}

extension Unicode.Scalar {
    fileprivate var isBlankOrControl: Bool { properties.isWhitespace || properties.generalCategory == .control }
}

extension SettingFormat<Logger.Level> {
    /// The least severe level that is logged.
    static var logLevel: Self {
        let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        return Self(
            valueName: "level",
            expectation: "one of \(levels)",
            parse: { Logger.Level(rawValue: $0) },
            describe: { $0.rawValue }
        )
    }
}

extension SettingFormat {
    /// A value that need not be given.
    ///
    /// - Parameter example: A good value, for messages.
    static func optional<Wrapped>(_ format: SettingFormat<Wrapped>, example: Wrapped) -> Self
    where Value == Wrapped? {
        Self(
            valueName: format.valueName, expectation: format.expectation, isSecret: format.isSecret,
            // What cannot be parsed is not a value that is not given.
            parse: { format.parse($0).map { .some($0) } }, describe: { format.describe($0 ?? example) })
    }
}
