// SPDX-License-Identifier: Apache-2.0

import Foundation

@testable import MartletCommand

/// Resolves settings from what a test gives, with a descriptor limit of 4096.
///
/// - Parameter file: The text of the settings file, which is written to a temporary place that `config` names.
/// - Throws: ``SettingsError``, with that place shown as `hub.json`.
func resolve(
    commandLine: [String: String] = [:],
    environment: [String: String] = [:],
    file: String? = nil
) async throws -> ServeSettings {
    var commandLine = commandLine
    let place = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: place) }
    if let file {
        try Data(file.utf8).write(to: place)
        commandLine["config"] = place.path
    }
    do {
        return try await ServeSettings.resolve(
            commandLine: commandLine,
            environment: environment,
            descriptorLimit: 4096
        )
    } catch {
        throw SettingsError(error.description.replacing(place.path, with: "hub.json"))
    }
}

/// The message of the error that resolving these settings fails with; nil if it succeeds.
func problem(
    commandLine: [String: String] = [:],
    environment: [String: String] = [:],
    file: String? = nil
) async throws -> String? {
    do {
        _ = try await resolve(commandLine: commandLine, environment: environment, file: file)
        return nil
    } catch let error as SettingsError {
        return error.description
    }
}
