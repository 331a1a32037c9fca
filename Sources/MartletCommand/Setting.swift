// SPDX-License-Identifier: Apache-2.0

/// One row of ``ServeSettings/table``: everything known about a setting.
///
/// Its command-line option, environment variable, key in the settings file, help and validation all come from here.
struct Setting: Sendable {
    /// The option without its dashes, which is also the key in the settings file: `history-bytes`.
    let name: String
    /// What the setting is for, as one sentence without its full stop.
    let help: String
    /// What the value is called in the help; nil for a flag.
    let valueName: String?
    /// Whether the value must not be shown.
    let isSecret: Bool
    /// What a value has to be: "a duration from 1s to 1h".
    let expectation: String
    /// The default as it would be given, which serves as the example of a good value too.
    let example: String
    /// The default as the help shows it.
    let defaultText: String

    private let parse: @Sendable (String, inout ServeSettings) -> Bool

    /// - Parameters:
    ///   - field: Where the value goes, and where the default comes from.
    ///   - defaultText: Shown as the default where it differs from machine to machine.
    init<Value>(
        _ name: String,
        _ field: any WritableKeyPath<ServeSettings, Value> & Sendable,
        _ format: SettingFormat<Value>,
        default defaultText: String? = nil,
        help: String
    ) {
        self.name = name
        self.help = help
        valueName = format.valueName
        expectation = format.expectation
        isSecret = format.isSecret
        example = format.describe(ServeSettings.example[keyPath: field])
        self.defaultText = defaultText ?? example
        parse = { text, settings in
            guard let value = format.parse(text) else { return false }
            settings[keyPath: field] = value
            return true
        }
    }

    /// The environment variable: `MARTLET_HISTORY_BYTES`.
    var variable: String {
        ServeSettings.variablePrefix + name.uppercased().replacing("-", with: "_")  // characters: a name of ours
    }

    /// Whether the option takes no value on the command line.
    var isFlag: Bool { valueName == nil }

    /// The line of the help: purpose, accepted values, default and environment variable.
    var summary: String {
        "\(help): \(expectation). Default: \(defaultText). Environment: \(variable)."
    }

    /// A text without what stands in front of the host of a URL.
    private static func withoutCredentials(_ text: String) -> String {
        guard let slashes = text.utf8.firstRange(of: "://".utf8), let at = text.utf8.lastIndex(of: UInt8(ascii: "@")),
            at >= slashes.upperBound
        else { return text }
        return text[..<slashes.upperBound] + "…" + text[at...]
    }

    /// Sets the field of `settings` to the value that `text` stands for.
    ///
    /// - Parameter source: Where the text comes from, for the error.
    /// - Throws: ``SettingsError`` if the text is malformed or the value out of range.
    func assign(_ text: String, from source: String, to settings: inout ServeSettings) throws(SettingsError) {
        guard parse(text, &settings) else {
            let shown = isSecret ? "what is there" : Self.withoutCredentials(text).debugDescription
            throw SettingsError("\(source): \(shown) is not \(expectation); for example \(example)")
        }
    }
}
