// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TestSupport

@testable import MartletClient

/// Why a source waited, each time that it did.
final class DisconnectReasons: Sendable {
    private let recorded = Mutex<[EventSource.DisconnectReason]>([])

    var all: [EventSource.DisconnectReason] { recorded.withLock { $0 } }

    /// Makes the source say so, and wait as little as it may.
    func watch(_ configuration: inout EventSource.Configuration) {
        configuration.retry = .zero
        configuration.onStateChange = { state in
            if case .waiting(_, let reason) = state { self.recorded.withLock { $0.append(reason) } }
        }
    }

    /// Why a source waits first; it is left then.
    static func first(of url: String) async throws -> EventSource.DisconnectReason? {
        let reasons = DisconnectReasons()
        var configuration = EventSource.Configuration()
        reasons.watch(&configuration)
        let source = EventSource(url, configuration: configuration)
        let task = Task { for try await _ in source {} }
        defer { task.cancel() }
        try await until { !reasons.all.isEmpty }
        return reasons.all.first
    }
}
