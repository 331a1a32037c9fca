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
            --config names. The command line wins over the environment, the environment over the file.

            A duration is a whole number with a unit (500ms, 15s, 2m, 24h, 7d); without a unit it is in seconds. \
            A size is a whole number with a unit (512KiB, 64MiB, 1GiB, 1TiB); without a unit it is in bytes.
            """
    )

    @OptionGroup var options: ServeOptions

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        let descriptorLimit = DescriptorLimit.raise()
        var settings = try await ServeSettings.resolve(
            commandLine: options.values,
            environment: environment,
            descriptorLimit: descriptorLimit
        )

        var logger = Logger(label: "martlet") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = settings.logLevel
        for variable in ServeSettings.unknownVariables(in: environment) {
            logger.warning("Ignoring \(variable): no option has this environment variable")
        }
        for directive in ReferenceEnvironment.read(environment).ignored {
            logger.warning("Ignoring the directive \(directive): it means nothing here")
        }

        if settings.log.hasPassword, options.values["log"] != nil {
            logger.warning("Others can see the password on the command line; set MARTLET_LOG in place of --log")
        }
        let origins = settings.access.corsOrigins + settings.access.publishOrigins
        if origins.contains(where: { !$0.isWildcard && $0.matches("null") }) {
            logger.warning("Allowing the origin null lets every site in, with the cookies of its visitors")
        }

        let possible = ServeSettings(descriptorLimit: descriptorLimit).maxConnections
        if settings.maxConnections > possible {
            logger.warning("Allowing \(possible) connections only; raise the limit of descriptors (ulimit -n) for more")
            settings.maxConnections = possible
        }

        do {
            try await Serve.run(settings: settings, logger: logger)
        } catch {
            throw BindError(error, settings: settings) ?? error
        }
    }
}
