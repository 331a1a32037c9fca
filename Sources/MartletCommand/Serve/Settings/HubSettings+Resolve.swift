// SPDX-License-Identifier: Apache-2.0

import Configuration
import MartletHTTP
import MartletSupport

extension HubSettings {
    /// The settings from the command line, the environment, the variables of the Mercure reference hub, the settings
    /// file and the defaults, in this order of precedence.
    ///
    /// The settings file is the one that `config` names on the command line or in the environment.
    ///
    /// - Parameters:
    ///   - commandLine: The texts on the command line, by option name.
    ///   - environment: The environment of the process.
    ///   - descriptorLimit: The limit on open descriptors, which determines the default for connections.
    /// - Throws: ``SettingsError`` if the settings file cannot be read or has an unknown key, if a value is malformed
    ///   or out of range, if settings contradict each other, if this build does not support the log, or if anyone who
    ///   can reach the host could publish.
    static func resolve(
        commandLine: [String: String],
        environment: [String: String],
        descriptorLimit: Int
    ) async throws(SettingsError) -> HubSettings {
        let reference = ReferenceEnvironment.read(environment).values
        var providers: [any ConfigProvider] = [
            provider("command line", commandLine),
            EnvironmentVariablesProvider(environmentVariables: environment).prefixKeys(with: "martlet"),
            provider("reference hub", reference.mapValues(\.text)),
        ]
        let file = ConfigReader(providers: providers).string(forKey: ConfigKey([fileOption]))
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
        var settings = HubSettings(descriptorLimit: descriptorLimit)
        for setting in table {
            guard var text = reader.string(forKey: ConfigKey([setting.name])) else { continue }
            let source = source(of: setting)
            if setting.isSecret {
                text = try secret(text, from: source, isVisible: commandLine[setting.name] != nil)
            }
            try setting.assign(text, from: source, to: &settings)
        }
        try settings.check()
        return settings
    }

    private static func provider(_ name: String, _ texts: [String: String]) -> InMemoryProvider {
        let values = texts.map { (AbsoluteConfigKey([$0]), ConfigValue(.string($1), isSecret: true)) }
        return InMemoryProvider(name: name, values: Dictionary(uniqueKeysWithValues: values))
    }

    /// The secret that a text stands for: the content of a file, or the text itself.
    ///
    /// - Parameters:
    ///   - source: Where the text comes from, for the error.
    ///   - isVisible: Whether other users of this machine can see the text, as on a command line. Then it must name a
    ///     file.
    /// - Throws: ``SettingsError``, which contains the text only if it names a file.
    private static func secret(
        _ text: String, from source: String, isVisible: Bool
    ) throws(SettingsError) -> String {
        if let path = FileReference.path(in: text) { return try BoundedFile.secret(at: path, for: source) }
        guard !isVisible else {
            throw SettingsError(
                "\(source): other users can see the command line; put the key into a file and write file:PATH")
        }
        return text
    }

    private func check() throws(SettingsError) {
        try access.check()
        try hooks.check()
        try log.check()
        if case .kafka = log, historyAge != nil {
            throw SettingsError(
                "history-age: the brokers decide how long a topic keeps its records (retention.ms); leave it out")
        }
        if !rules.isEmpty, log.isShared {
            throw SettingsError(
                """
                retention: nodes share the log \(log.text), and nothing can be removed from the middle of a shared history; \
                leave it out, or keep history in memory or in a file (sqlite:PATH)
                """)
        }
        try checkStore()
        if proxyProtocol, trustedProxies.isEmpty {
            throw SettingsError(
                "proxy-protocol needs trusted-proxies: the networks of the proxies that send the header")
        }
        if access.readOnly, demo {
            throw SettingsError("demo publishes, and read-only forbids it; leave one of them out")
        }
        guard host.isLocal || !access.isOpen || access.readOnly else {
            throw SettingsError(
                """
                anyone who can reach \(host.text) could publish, since no keys are configured; set publisher-key and \
                subscriber-key, or set --host 127.0.0.1 and put a reverse proxy in front that passes on GET only
                """)
        }
    }

    private func checkStore() throws(SettingsError) {
        guard case .serviceBus(let address) = log else {
            for (name, isSet) in [("store", store != nil), ("node", node != nil)] where isSet {
                throw SettingsError(
                    "\(name): only a log of Service Bus (amqps://…) needs it, and this one is \(log.text); leave it out"
                )
            }
            return
        }
        guard node != nil else {
            throw SettingsError(
                "node: set it to the name of the subscription of this node at \(address.text), which no other node uses"
            )
        }
        guard case .sqlite = store else {
            throw SettingsError(
                "store: set it to sqlite:PATH; Service Bus forgets what a node has received, so each node keeps history in a "
                    + "file")
        }
    }

    /// The variables in `environment` with the prefix of settings that belong to no setting, in alphabetical order.
    static func unknownVariables(in environment: [String: String]) -> [String] {
        Set(environment.keys.filter { $0.startsExactly(with: variablePrefix) }).subtracting(table.map(\.variable))
            .sorted()
    }
}
