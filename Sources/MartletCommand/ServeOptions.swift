// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The command-line options of `martlet serve`, one for each row of ``ServeSettings/table``.
///
/// ArgumentParser finds options by reflection, so the mirror lists them from the table in place of stored properties.
struct ServeOptions: ParsableArguments, CustomReflectable {
    /// The texts given on the command line, by option name.
    private(set) var values: [String: String] = [:]

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        for setting in ServeSettings.table {
            let key = Key(stringValue: setting.name)
            if setting.isFlag {
                values[setting.name] = try container.decode(Bool.self, forKey: key) ? "true" : nil
            } else {
                values[setting.name] = try container.decodeIfPresent(String.self, forKey: key)
            }
        }
    }

    var customMirror: Mirror {
        Mirror(self, children: ServeSettings.table.map { (label: $0.name, value: Self.option(for: $0)) })
    }

    private static func option(for setting: Setting) -> Any {
        let name = NameSpecification.customLong(setting.name)
        let help = ArgumentHelp(setting.summary, valueName: setting.valueName)
        return setting.isFlag
            ? Flag(wrappedValue: false, name: name, help: help)
            : Option<String?>(name: name, help: help)
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) {
            self.stringValue = stringValue
        }

        init?(intValue: Int) {
            nil
        }
    }
}
