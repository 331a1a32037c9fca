// SPDX-License-Identifier: Apache-2.0

import Martlet
import TestSupport

/// A node that writes positions the other way round, `5.3` for `3.5`, so that no other node understands them.
struct MirroredNode: Log {
    let log: VectorLog

    private func mirror(_ position: Position) -> Position {
        position == .earliest ? position : Position(checked: mirror(position.text))
    }

    private func mirror(_ text: String) -> String { text.split(separator: ".").reversed().joined(separator: ".") }

    private func mirror(_ slice: Slice) -> Slice {
        var slice = slice
        for index in slice.records.indices { slice.records[index].position = mirror(slice.records[index].position) }
        slice.end = mirror(slice.end)
        return slice
    }

    private func mirror(_ resolution: Resolution) -> Resolution {
        Resolution(position: mirror(resolution.position), gap: resolution.gap)
    }

    func open() async throws -> Position { mirror(try await log.open()) }
    func append(_ events: [Event], once key: String?) async throws -> [Position] {
        try await log.append(events, once: key).map(mirror)
    }
    func covers(_ a: Position, _ b: Position) -> Bool { log.covers(mirror(a), mirror(b)) }

    func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        mirror(try await log.read(selection, after: mirror(after), through: mirror(through), limit: limit))
    }

    func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        mirror(try await log.tail(after: mirror(after), limit: limit))
    }

    func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        mirror(try await log.resolve(id == "earliest" ? id : mirror(id), for: selection))
    }

    func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        mirror(try await log.resolve(since: age, for: selection))
    }
}
