// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import MartletHTTP
import ServiceLifecycle
import Synchronization

/// Imports files in the background, one after the other.
final class Importer: Service {
    let hub: Hub
    private let waiting = AsyncStream.makeStream(
        of: (id: String, text: String).self, bufferingPolicy: .bufferingOldest(20))

    /// The imports since the server was started.
    private let ids = Mutex<Set<String>>([])

    init(hub: Hub) { self.hub = hub }

    /// Returns the id of the import, which is the name of its job.
    func add(_ text: String) async throws -> String {
        let id = UUID().uuidString
        try await hub.markJobQueued(id)
        ids.withLock { _ = $0.insert(id) }
        guard case .enqueued = waiting.continuation.yield((id, text)) else { throw HTTPError(.serviceUnavailable) }
        return id
    }

    /// Whether there is such an import: a server that was restarted knows no old ones.
    func knows(_ id: String) -> Bool { ids.withLock { $0.contains(id) } }

    func run() async {
        for await (id, text) in waiting.stream.cancelOnGracefulShutdown() {
            // The job tells its watchers if it fails.
            try? await cancelWhenGracefulShutdown {
                try await self.hub.job(id) { job in try await self.process(text, as: job) }
            }
        }
    }

    private func process(_ text: String, as job: Job) async throws {
        let lines = text.split(whereSeparator: \.isNewline)
        guard !lines.isEmpty else { throw JobFailure("The file has no lines.") }
        for (index, _) in lines.enumerated() {
            await job.progress(Double(index) / Double(lines.count), "Line \(index + 1) of \(lines.count)")
            try await Task.sleep(for: .milliseconds(20))  // stands for the work on a line
        }
    }
}
