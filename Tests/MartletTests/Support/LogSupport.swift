// SPDX-License-Identifier: Apache-2.0

import Martlet

extension PublishQueue {
    /// Room for so many events of the topic `news` with one byte of data.
    static func backlog(of events: Int) -> PublishQueue {
        PublishQueue(backlogBytes: events * Event(topic: "news", data: "1").byteCount)
    }
}

extension MemoryLog {
    /// Whether a publisher has to wait. If not, an event of the topic `probe` is appended.
    func holdsBackPublishers() async -> Bool {
        let publisher = Task {
            // A cancelled task never waits.
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await self.append([Event(topic: "probe", data: "")])
        }
        if case .failure(is CancellationError) = await publisher.result { return true }
        return false
    }
}
