// SPDX-License-Identifier: Apache-2.0

import Martlet
import Synchronization

/// A log that remembers the positions that it has answered to the last publish. Else it is another one.
final class WatchedLog: Log {
    private let log: any Log
    private let positions = Mutex<[Position]>([])

    init(_ log: any Log) { self.log = log }

    var answer: [Position] { positions.withLock { $0 } }

    func append(_ events: [Event], once key: String?) async throws -> [Position] {
        let answer = try await log.append(events, once: key)
        positions.withLock { $0 = answer }
        return answer
    }

    func open() async throws -> Position { try await log.open() }
    func close() async { await log.close() }
    func covers(_ a: Position, _ b: Position) -> Bool { log.covers(a, b) }

    func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        try await log.read(selection, after: after, through: through, limit: limit)
    }

    func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        try await log.tail(after: after, limit: limit)
    }

    func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        try await log.resolve(id, for: selection)
    }

    func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        try await log.resolve(since: age, for: selection)
    }
}
