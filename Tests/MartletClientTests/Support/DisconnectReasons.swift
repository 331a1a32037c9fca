// SPDX-License-Identifier: Apache-2.0

import Synchronization
import TestSupport

@testable import MartletClient

/// The reasons of all waits of a source.
final class DisconnectReasons: Sendable {
    private let recorded = Mutex<[EventSource.DisconnectReason]>([])

    var all: [EventSource.DisconnectReason] { recorded.withLock { $0 } }

    /// Records the reasons, and makes the waits as short as possible.
    func watch(_ configuration: inout EventSource.Configuration) {
        configuration.retry = .zero
        configuration.onStateChange = { state in
            if case .waiting(_, let reason) = state { self.recorded.withLock { $0.append(reason) } }
        }
    }

    /// The reason of a source's first wait.
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
