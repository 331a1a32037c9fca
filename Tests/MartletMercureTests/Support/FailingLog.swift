// SPDX-License-Identifier: Apache-2.0

import Martlet

/// A log that is there and answers nothing.
struct FailingLog: Log {
    struct Unreachable: Error {}

    func open() async throws -> Position { .earliest }
    func append(_ events: [Event], once key: String?) async throws -> [Position] { throw Unreachable() }
    func resolve(_ id: String, for selection: Selection) async throws -> Resolution { throw Unreachable() }
    func resolve(since age: Duration, for selection: Selection) async throws -> Resolution { throw Unreachable() }
    func covers(_ a: Position, _ b: Position) -> Bool { true }

    func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        throw Unreachable()
    }

    func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        try await Task.sleep(for: .seconds(3600))
        throw Unreachable()
    }
}
