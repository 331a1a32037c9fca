// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Logging
import MartletHTTP

/// `martlet serve`: runs the hub until it is signalled to stop.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run the hub.",
        usage: "martlet serve [<options>]",
        discussion: """
            Each option can also be set by its environment variable, or by its name as a key of the JSON file that \
            --config names. The command line wins over the environment, and the environment over the file.

            A duration is a whole number with a unit (500ms, 15s, 2m, 24h, 7d); without a unit it is in seconds. \
            A size is a whole number with a unit (512KiB, 64MiB, 1GiB, 1TiB); without a unit it is in bytes.
            """
    )

    @OptionGroup var options: ServeArguments

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let descriptorLimit = DescriptorLimit.raise()
        let resolve: @Sendable () async throws -> HubSettings = { [texts = options.texts] in
            try await HubSettings.resolve(
                commandLine: texts, environment: environment, descriptorLimit: descriptorLimit)
        }
        var settings = try await resolve()

        // A collector of the log that goes away must not end the hub.
        StandardStream.ignoreBrokenPipes()
        let level = SharedLogLevel(settings.logLevel)
        let logger = Logger.lines("martlet", as: settings.logFormat, level: level)
        var warnings = settings.warnings(commandLine: options.texts, environment: environment)
        if let warning = settings.limitConnections(descriptorLimit: descriptorLimit) { warnings.append(warning) }
        for warning in warnings { logger.warning("\(warning)") }

        do {
            let manager = ServiceManager(environment: environment)
            let access = Logger.lines("martlet.access", as: settings.logFormat, level: SharedLogLevel(.info))
            let server = try await HubServer(
                settings, manager: manager, logger: logger, accessLogger: access, level: level,
                resolve: {
                    var settings = try await resolve()
                    // As at the start, where it is said.
                    _ = settings.limitConnections(descriptorLimit: descriptorLimit)
                    return settings
                })
            try await server.run()
        } catch {
            throw BindError(error, settings: settings) ?? error
        }
    }
}

extension HubSettings {
    /// Settings that the hub starts with, but that are probably mistakes.
    func warnings(commandLine: [String: String], environment: [String: String]) -> [String] {
        var warnings = Self.unknownVariables(in: environment).map {
            "Ignoring \($0): no option has this environment variable"
        }
        warnings += ReferenceEnvironment.read(environment).ignored.map {
            "Ignoring the directive \($0): this hub has no such directive"
        }
        if log.hasPassword, commandLine["log"] != nil {
            warnings.append("Others can see the password on the command line; set MARTLET_LOG instead of --log")
        }
        if (access.corsOrigins + access.publishOrigins).contains(where: { !$0.isWildcard && $0.matches("null") }) {
            warnings.append("Allowing the origin null lets every site in, with the cookies of its visitors")
        }
        if hooks.url != nil, hooks.secret == nil {
            warnings.append("Hooks are not signed, so anyone can send the back end some; set hook-secret")
        }
        if hooks.url != nil, log.isShared, !hasBoards {
            warnings.append(
                "Without the right to publish, this node cannot tell the others its topics, so it sends hooks for its own streams"
            )
        }
        if !access.isOpen, log.isShared, !hasBoards {
            warnings.append(
                "Without the right to publish, this node and the others do not know of each other's tickets, renewals and "
                    + "revocations; ask each node")
        }
        return warnings
    }

    /// Lowers `max-connections` to what the descriptor limit allows.
    ///
    /// - Returns: A warning if it was higher.
    mutating func limitConnections(descriptorLimit: Int) -> String? {
        let possible = HubSettings(descriptorLimit: descriptorLimit).maxConnections
        guard maxConnections > possible else { return nil }
        maxConnections = possible
        return "Allowing only \(possible) connections; raise the descriptor limit (ulimit -n) to allow more"
    }
}

/// The arguments of `martlet serve` as texts, with an option for each row of ``HubSettings/table``.
///
/// ArgumentParser finds options by reflection, so the mirror lists the rows of the table in place of stored properties.
struct ServeArguments: ParsableArguments, CustomReflectable {
    /// The texts on the command line, by option name.
    private(set) var texts: [String: String] = [:]

    init() {}

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        for setting in HubSettings.table {
            let key = Key(stringValue: setting.name)
            if setting.isFlag {
                texts[setting.name] = try container.decode(Bool.self, forKey: key) ? "true" : nil
            } else {
                texts[setting.name] = try container.decodeIfPresent(String.self, forKey: key)
            }
        }
    }

    var customMirror: Mirror {
        Mirror(self, children: HubSettings.table.map { (label: $0.name, value: Self.option(for: $0)) })
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
