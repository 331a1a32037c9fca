// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import MartletAuth
import TestSupport
import Testing

@testable import MartletCommand
@testable import MartletHTTP

@Suite("Reading the settings again")
struct SettingsReloadTests {
    private let log = RecordingLog()
    private let level = SharedLogLevel(.info)
    private let hub = quickHub()

    /// Whether a token that a key has signed may subscribe.
    private func mayComeIn(_ access: HubAccess, with key: String) async throws -> Bool {
        let claims = JSONValue.object(["mercure": .object(["subscribe": .array([.string("*")])])])
        let token = try await TokenSigner(text: key).token(claiming: claims)
        let request = HubRequest(target: "/events/a", headers: [.authorization: "Bearer \(token)"])
        do {
            _ = try await #require(access.events.plain).judge(request, .subscribe)
            return true
        } catch is Problem {
            return false
        }
    }

    private static let oldKey = String(repeating: "old key ", count: 8)
    private static let newKey = String(repeating: "new key ", count: 8)

    /// Starts with some settings, and reads others.
    private func reload(
        _ old: HubSettings, as new: @escaping @Sendable () async throws -> HubSettings
    ) async throws -> HubAccess {
        let access = try await HubAccess(old.access, logger: quiet)
        await SettingsReload(
            of: old, hub: hub, access: access, level: level, logger: log.logger, resolve: new
        ).reload()
        return access
    }

    private func settings(_ change: (inout HubSettings) -> Void = { _ in }) async throws -> HubSettings {
        var settings = try await HubSettings.resolve(
            commandLine: [:],
            environment: ["MARTLET_SUBSCRIBER_KEY": Self.oldKey, "MARTLET_PUBLISHER_KEY": Self.oldKey],
            descriptorLimit: 10_000)
        change(&settings)
        return settings
    }

    @Test("Keys, roles and the log level change while the hub runs")
    func changes() async throws {
        let old = try await settings()
        let new = try await settings { settings in
            settings.access.subscriber.key = SecretText(text: Self.newKey)
            settings.access.anonymous = true
            settings.clients.streamsPerPrincipal = 1
            settings.logLevel = .debug
        }
        let access = try await HubAccess(old.access, logger: quiet)
        let reload = SettingsReload(of: old, hub: hub, access: access, level: level, logger: log.logger) { new }
        #expect(try await mayComeIn(access, with: Self.oldKey))
        #expect(try await !mayComeIn(access, with: Self.newKey))
        await reload.reload()
        #expect(try await !mayComeIn(access, with: Self.oldKey))
        #expect(try await mayComeIn(access, with: Self.newKey))
        #expect(level.current == .debug)
        #expect(hub.clients.limits.streamsPerPrincipal == 1)
        #expect(log.lines.contains { $0.contains("The settings were read again") && $0.contains("subscriber-key") })
        #expect(!log.lines.contains { $0.contains("new key") })
    }

    @Test("A setting that cannot change refuses all, and the log names it")
    func refusals() async throws {
        let old = try await settings()
        let new = try await settings { settings in
            settings.access.subscriber.key = SecretText(text: Self.newKey)
            settings.port = 1
            settings.maxConnections += 1
            settings.logLevel = .debug
        }
        let access = try await reload(old) { new }
        #expect(try await mayComeIn(access, with: Self.oldKey))
        #expect(level.current == .info)
        #expect(
            log.lines.contains {
                $0.contains("stay as they were") && $0.contains("port, max-connections: cannot change")
            })
    }

    @Test("Settings that are not valid, and keys that come or go, change nothing")
    func badSettings() async throws {
        let old = try await settings()
        var access = try await reload(old) { throw SettingsError("hub.json: not JSON") }
        #expect(try await mayComeIn(access, with: Self.oldKey))
        #expect(log.lines.contains { $0.contains("stay as they were") && $0.contains("hub.json: not JSON") })
        let new = try await settings { $0.access.rolesFile = "/missing/roles.json" }
        access = try await reload(old) { new }
        #expect(try await mayComeIn(access, with: Self.oldKey))
        #expect(log.lines.contains { $0.contains("stay as they were") && $0.contains("/missing/roles.json") })
        let open = try await settings { $0.access = AccessSettings() }
        _ = try await reload(old) { open }
        #expect(log.lines.contains { $0.contains("a hub with keys needs some") })
    }

    @Test("A logger with a level of its own keeps it")
    func levels() {
        var logger = Logger(label: "test") { _ in SharedLevelHandler(SwiftLogNoOpLogHandler(), at: level) }
        #expect(logger.logLevel == .info)
        level.current = .trace
        #expect(logger.logLevel == .trace)
        logger.logLevel = .error
        level.current = .info
        #expect(logger.logLevel == .error)
    }
}
