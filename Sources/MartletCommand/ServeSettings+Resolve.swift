// SPDX-License-Identifier: Apache-2.0

import Configuration

extension ServeSettings {
    /// The settings from the command line, else the environment, else the settings file, else the defaults.
    ///
    /// The settings file is the one that `config` names on the command line or in the environment.
    ///
    /// - Parameters:
    ///   - commandLine: The texts given on the command line, by option name.
    ///   - environment: The environment of the process.
    ///   - descriptorLimit: The limit on open descriptors, from which the default for connections comes.
    /// - Throws: ``SettingsError`` if the settings file cannot be read or has an unknown key, if a value is malformed
    ///   or out of range, or if the host is not a loopback one, since anyone who can reach the hub may publish.
    static func resolve(
        commandLine: [String: String],
        environment: [String: String],
        descriptorLimit: Int
    ) async throws(SettingsError) -> ServeSettings {
        let values = commandLine.map { (AbsoluteConfigKey([$0]), ConfigValue(.string($1), isSecret: false)) }
        var providers: [any ConfigProvider] = [
            InMemoryProvider(name: "command line", values: Dictionary(uniqueKeysWithValues: values)),
            EnvironmentVariablesProvider(environmentVariables: environment).prefixKeys(with: "martlet"),
        ]
        let file = ConfigReader(providers: providers).string(forKey: ConfigKey([fileSetting]))
        if let file {
            providers.append(try await SettingsFile.provider(path: file))
        }

        func source(of setting: Setting) -> String {
            if commandLine[setting.name] != nil {
                "--\(setting.name)"
            } else if environment[setting.variable] != nil {
                setting.variable
            } else {
                "\(setting.name) in \(file ?? "")"
            }
        }

        let reader = ConfigReader(providers: providers)
        var settings = ServeSettings(descriptorLimit: descriptorLimit)
        for setting in table {
            if let text = reader.string(forKey: ConfigKey([setting.name])) {
                try setting.assign(text, from: source(of: setting), to: &settings)
            }
        }
        guard Loopback.contains(settings.host) else { throw .openToOthers(host: settings.host) }
        return settings
    }

    /// The variables in `environment` that look like a setting's but are none's, in alphabetical order.
    static func unknownVariables(in environment: [String: String]) -> [String] {
        Set(environment.keys.filter { $0.hasPrefix(variablePrefix) }).subtracting(table.map(\.variable)).sorted()
    }
}
