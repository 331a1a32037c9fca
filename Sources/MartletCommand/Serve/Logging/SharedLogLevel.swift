// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

/// The level of all loggers of the process, which can change while it runs.
final class SharedLogLevel: Sendable {
    private let level: Mutex<Logger.Level>

    init(_ level: Logger.Level) { self.level = Mutex(level) }

    var current: Logger.Level {
        get { level.withLock { $0 } }
        set { level.withLock { $0 = newValue } }
    }
}

/// Writes what another handler writes, at the shared level, or at the level that was set for one logger.
struct SharedLevelHandler: LogHandler {
    private var handler: any LogHandler
    private let shared: SharedLogLevel
    private var own: Logger.Level?

    init(_ handler: any LogHandler, at shared: SharedLogLevel) {
        self.handler = handler
        self.handler.logLevel = .trace
        self.shared = shared
    }

    var logLevel: Logger.Level {
        get { own ?? shared.current }
        set { own = newValue }
    }

    var metadata: Logger.Metadata {
        get { handler.metadata }
        set { handler.metadata = newValue }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { handler.metadataProvider }
        set { handler.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { handler[metadataKey: key] }
        set { handler[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) { handler.log(event: event) }
}
