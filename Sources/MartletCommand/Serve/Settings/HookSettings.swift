// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHooks
import MartletSupport

/// The settings of hooks: what a back end learns of the subscribers.
struct HookSettings: Equatable, Sendable {
    /// `nil`: there are no hooks.
    var url: String?
    var topics: [TopicSelector] = [.every]
    /// Whether there are hooks about streams that have ended.
    var closed = false
    /// The secrets, one in each line.
    var secret: SecretText?
    var limits = HookLimits()

    /// The most secrets.
    private static let mostSecrets = 4

    /// - Throws: ``SettingsError`` if the settings contradict each other or a secret is unusable.
    func check() throws(SettingsError) {
        if url == nil {
            for (name, isSet) in [
                ("hook-secret", secret != nil), ("hook-topics", topics != [.every]), ("hook-closed", closed),
            ] where isSet {
                throw SettingsError("\(name) is set without hook-url; set hook-url too")
            }
        }
        _ = try configuration()
    }

    /// `nil` if there are no hooks.
    func configuration() throws(SettingsError) -> HookConfiguration? {
        guard let url else { return nil }
        var configuration: HookConfiguration
        do { configuration = try HookConfiguration(url: url) } catch { throw SettingsError("hook-url: \(error)") }
        configuration.topics = Set(topics)
        configuration.secrets = try secrets()
        configuration.limits = limits
        return configuration
    }

    private func secrets() throws(SettingsError) -> [HookSecret] {
        guard let secret else { return [] }
        let lines = secret.text.words(between: "\r\n")
        guard (1...Self.mostSecrets).contains(lines.count) else {
            throw SettingsError("hook-secret: write 1 to \(Self.mostSecrets) secrets, one in each line")
        }
        do { return try lines.map { line throws(HookError) in try HookSecret(String(line)) } } catch {
            throw SettingsError("hook-secret: \(error)")
        }
    }
}
