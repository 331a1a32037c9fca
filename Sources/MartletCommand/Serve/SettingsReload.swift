// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet

/// Reads the settings again while the hub runs (SIGHUP), and uses those that can change: all or none of them.
///
/// Streams that are open stay. A stream that was opened with a key that is gone ends when its token expires.
actor SettingsReload {
    private var settings: HubSettings
    private let resolve: @Sendable () async throws -> HubSettings
    private let hub: Hub
    private let access: HubAccess
    private let level: SharedLogLevel
    private let logger: Logger

    /// - Parameters:
    ///   - settings: Those that the hub was started with.
    ///   - resolve: Reads the settings again.
    ///   - level: The level of all loggers.
    init(
        of settings: HubSettings, hub: Hub, access: HubAccess, level: SharedLogLevel, logger: Logger,
        resolve: @escaping @Sendable () async throws -> HubSettings
    ) {
        self.settings = settings
        self.resolve = resolve
        self.hub = hub
        self.access = access
        self.level = level
        self.logger = logger
    }

    /// Logs what has changed, or why nothing has. The calls come one after the other.
    func reload() async {
        do {
            let new = try await resolve()
            let changed = HubSettings.table.filter { !$0.isSame(settings, new) }
            try Self.check(changed, from: settings, to: new)
            // Also if no setting has changed: the files that they name may have.
            try await access.reload(new.access, logger: logger)
            hub.clients.use(new.clients)
            hub.setSlowRules(latestTopics: Set(new.latestTopics), skippedTopics: Set(new.skippedTopics))
            level.current = new.logLevel
            settings = new
            let names = changed.map(\.name).joined(separator: ", ")
            logger.notice(
                "The settings were read again.", metadata: ["changed": "\(names.isEmpty ? "none" : names)"])
        } catch {
            logger.error("The settings stay as they were.", metadata: ["reason": "\(error)"])
        }
    }

    /// - Throws: ``SettingsError`` if a setting has changed that cannot change while the hub runs.
    private static func check(
        _ changed: [Setting], from old: HubSettings, to new: HubSettings
    ) throws(SettingsError) {
        let fixed = changed.filter { !$0.isReloadable }.map(\.name)
        guard fixed.isEmpty else {
            let names = fixed.joined(separator: ", ")
            throw SettingsError(
                "\(names): cannot change while the hub runs; restart the hub, or set the old value again")
        }
        guard old.access.isOpen == new.access.isOpen else {
            throw SettingsError(
                "publisher-key, subscriber-key: a hub with keys needs some, and a hub without keys gets none while it runs; "
                    + "restart the hub")
        }
    }
}
