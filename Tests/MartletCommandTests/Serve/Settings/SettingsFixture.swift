// SPDX-License-Identifier: Apache-2.0

import Foundation

@testable import MartletCommand

/// Resolves settings with a descriptor limit of 4096.
///
/// - Parameter file: The text of the settings file, which is written to a temporary file that `config` names.
/// - Throws: ``SettingsError``, which shows that file as `hub.json`.
func resolve(
    commandLine: [String: String] = [:],
    environment: [String: String] = [:],
    file: String? = nil
) async throws -> HubSettings {
    var commandLine = commandLine
    let place = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: place) }
    if let file {
        try Data(file.utf8).write(to: place)
        commandLine["config"] = place.path
    }
    do {
        return try await HubSettings.resolve(
            commandLine: commandLine,
            environment: environment,
            descriptorLimit: 4096
        )
    } catch {
        throw SettingsError(error.description.replacing(place.path, with: "hub.json"))
    }
}

/// The error of resolving these settings; `nil` if there is none.
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
