// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// One row of ``HubSettings/table``. Its command-line option, environment variable, key in the settings file, help and
/// validation all come from here.
struct Setting: Sendable {
    /// The option without its dashes, which is also the key in the settings file: `history-bytes`.
    let name: String
    /// The purpose of the setting, as one sentence without its full stop. The meaning in docs/options.md begins with it.
    let help: String
    /// The name of the value in the help; `nil` for a flag.
    let valueName: String?
    /// Whether messages must not show the value.
    let isSecret: Bool
    /// What a value must be: "a duration from 1s to 1h".
    let expectation: String
    /// A valid value for messages: the default, if there is one.
    let example: String
    /// The default as the help and docs/options.md show it.
    let defaultText: String
    /// Whether it can change while the hub runs.
    let isReloadable: Bool
    /// Whether its values are the same in both.
    let isSame: @Sendable (HubSettings, HubSettings) -> Bool

    private let parse: @Sendable (String, inout HubSettings) -> Bool

    /// - Parameters:
    ///   - field: The field for the value. It has the default, too.
    ///   - defaultText: What is shown as the default, if it depends on the machine or on other settings.
    init<Value: Equatable>(
        _ name: String,
        _ field: any WritableKeyPath<HubSettings, Value> & Sendable,
        _ format: SettingFormat<Value>,
        default defaultText: String? = nil,
        isReloadable: Bool = false,
        help: String
    ) {
        self.name = name
        self.help = help
        valueName = format.valueName
        expectation = format.expectation
        isSecret = format.isSecret
        example = format.describe(HubSettings.example[keyPath: field])
        self.defaultText = defaultText ?? example
        self.isReloadable = isReloadable
        isSame = { $0[keyPath: field] == $1[keyPath: field] }
        parse = { text, settings in
            guard let value = format.parse(text) else { return false }
            settings[keyPath: field] = value
            return true
        }
    }

    /// The environment variable: `MARTLET_HISTORY_BYTES`.
    var variable: String {
        HubSettings.variablePrefix + name.uppercased().replacing("-", with: "_")  // characters: a name of ours
    }

    /// Whether the option takes no value on the command line.
    var isFlag: Bool { valueName == nil }

    /// The text of the help: purpose, accepted values, default and environment variable.
    var summary: String {
        "\(help). Value: \(expectation). Default: \(defaultText). Environment: \(variable)."
    }

    /// Sets the field of `settings` to the value that `text` stands for.
    ///
    /// - Parameter source: Where the text comes from, for the error.
    /// - Throws: ``SettingsError`` if the text is malformed or the value out of range.
    func assign(_ text: String, from source: String, to settings: inout HubSettings) throws(SettingsError) {
        guard parse(text, &settings) else {
            let shown = isSecret ? "the value" : Self.withoutCredentials(text).debugDescription
            throw SettingsError("\(source): \(shown) is not \(expectation); for example \(example)")
        }
    }

    /// A text without the user and password of a URL, without its query, in which there can be others, and without the
    /// fields of a connection string. If it is not clear where a secret ends, only the scheme is left.
    private static func withoutCredentials(_ text: String) -> String {
        if ServiceBusAddress.isConnectionString(text) { return "…" }
        let slashes = text.utf8.firstRange(of: "://".utf8)
        let (scheme, rest) = slashes.map { (text[..<$0.upperBound], text[$0.upperBound...]) } ?? ("", text[...])
        let parts = rest.splitExactly(at: UInt8(ascii: "?"), maxSplits: 1)
        let query = parts.count > 1 ? "?…" : ""
        if parts.count > 1, parts[1].containsExactly(UInt8(ascii: "@")) { return scheme + "…" }
        guard let at = parts[0].utf8.lastIndex(of: UInt8(ascii: "@")) else {
            return slashes == nil ? text : scheme + parts[0] + query
        }
        return scheme + "…" + (slashes == nil ? "" : parts[0][at...] + query)
    }
}
