// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting

extension Selection {
    static func of(_ topics: Topic..., includesPrivate: Bool = false) -> Selection {
        Selection(topics: Set(topics), includesPrivate: includesPrivate)
    }
}

extension Log {
    /// Appends one event for each text, one after the other.
    @discardableResult
    func append(_ topic: Topic, _ texts: String...) async throws -> [Position] {
        var positions: [Position] = []
        for text in texts { positions += try await append([Event(topic: topic, data: text)]) }
        return positions
    }

    /// The texts of everything selected from a position to the end.
    func texts(_ selection: Selection? = nil, after place: Position = .earliest) async throws -> [String] {
        try await read(selection, after: place, through: open(), limit: SliceLimit()).records.map(\.event.data)
    }
}

extension PublishQueue {
    /// Room for so many events of the topic `news` with one byte of data.
    static func backlog(of events: Int) -> PublishQueue {
        var queue = PublishQueue()
        queue.backlogBytes = events * Event(topic: "news", data: "1").byteCount
        return queue
    }
}

extension MemoryLog {
    /// Whether a publisher has to wait. If not, an event of the topic `probe` is appended.
    func holdsBackPublishers() async -> Bool {
        let publisher = Task {
            // Who is cancelled already never waits.
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await self.append([Event(topic: "probe", data: "")])
        }
        if case .failure(is CancellationError) = await publisher.result { return true }
        return false
    }
}
