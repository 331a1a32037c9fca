// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

extension ParsableArguments {
    /// Parses what a format accepts.
    static func value<Value>(_ format: SettingFormat<Value>) -> @Sendable (String) throws -> Value {
        { text in
            guard let value = format.parse(text) else {
                throw ValidationError("\(text.debugDescription) is not \(format.expectation)")
            }
            return value
        }
    }
}
