// SPDX-License-Identifier: Apache-2.0

import Configuration
import MartletHTTP
import MartletSupport

extension ServeSettings {
    /// The settings from the command line, else the environment, else the settings file, else the defaults. Behind its
    /// own variables also those of the Mercure reference hub count.
    ///
    /// The settings file is the one that `config` names on the command line or in the environment.
    ///
    /// - Parameters:
    ///   - commandLine: The texts given on the command line, by option name.
    ///   - environment: The environment of the process.
    ///   - descriptorLimit: The limit on open descriptors, from which the default for connections comes.
    /// - Throws: ``SettingsError`` if the settings file cannot be read or has an unknown key, if a value is malformed
    ///   or out of range, if settings contradict each other, if this build cannot use the log, or if the host is not a
    ///   loopback one although nobody has to identify himself, so that anyone who can reach the hub may publish.
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
        let reference = ReferenceEnvironment.read(environment).values
        let referenceValues = reference.map { (AbsoluteConfigKey([$0]), ConfigValue(.string($1.text), isSecret: true)) }
        providers.append(
            InMemoryProvider(name: "reference hub", values: Dictionary(uniqueKeysWithValues: referenceValues)))
        let file = ConfigReader(providers: providers).string(forKey: ConfigKey([fileSetting]))
        if let file {
            providers.append(try await SettingsFile.provider(path: file))
        }

        func source(of setting: Setting) -> String {
            if commandLine[setting.name] != nil {
                "--\(setting.name)"
            } else if environment[setting.variable] != nil {
                setting.variable
            } else if let value = reference[setting.name] {
                value.source
            } else {
                "\(setting.name) in \(file ?? "")"
            }
        }

        let reader = ConfigReader(providers: providers)
        var settings = ServeSettings(descriptorLimit: descriptorLimit)
        for setting in table {
            guard var text = reader.string(forKey: ConfigKey([setting.name])) else { continue }
            let source = source(of: setting)
            if setting.isSecret {
                text = try Secret.read(text, from: source, isVisible: commandLine[setting.name] != nil)
            }
            try setting.assign(text, from: source, to: &settings)
        }
        try settings.access.check()
        try settings.log.check()
        if settings.access.readOnly, settings.demo {
            throw SettingsError("demo publishes, and read-only forbids it; leave one of them out")
        }
        guard Loopback.contains(settings.host) || !settings.access.isOpen || settings.access.readOnly else {
            throw .openToOthers(host: settings.host)
        }
        return settings
    }

    /// The variables in `environment` that look like a setting's but are none's, in alphabetical order.
    static func unknownVariables(in environment: [String: String]) -> [String] {
        Set(environment.keys.filter { $0.startsExactly(with: variablePrefix) }).subtracting(table.map(\.variable))
            .sorted()
    }
}
