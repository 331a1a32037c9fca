// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MartletHTTP
import MartletSupport

/// How the values of an option are written, and which of them are accepted.
struct SettingFormat<Value: Sendable>: Sendable {
    /// The name of the value in the help; `nil` for a flag.
    var valueName: String?
    /// What a value must be, with its range: "a duration from 1s to 1h".
    let expectation: String
    /// Whether messages must not show the value.
    var isSecret = false
    /// The value that a text stands for; `nil` if the text is malformed or the value out of range.
    let parse: @Sendable (String) -> Value?
    /// The text that stands for a value.
    let describe: @Sendable (Value) -> String
}

extension ParsableArguments {
    /// The transform of an option that takes values of a format.
    static func value<Value>(_ format: SettingFormat<Value>) -> @Sendable (String) throws -> Value {
        { text in
            guard let value = format.parse(text) else {
                throw ValidationError("\(text.debugDescription) is not \(format.expectation)")
            }
            return value
        }
    }
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

extension SettingFormat {
    /// An optional value.
    ///
    /// - Parameter example: A valid value, for messages.
    static func optional<Wrapped>(_ format: SettingFormat<Wrapped>, example: Wrapped) -> Self
    where Value == Wrapped? {
        Self(
            valueName: format.valueName, expectation: format.expectation, isSecret: format.isSecret,
            // The inner optional: a malformed text is an error, not an absent value.
            parse: { format.parse($0).map { .some($0) } }, describe: { format.describe($0 ?? example) })
    }
}
