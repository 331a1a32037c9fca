// SPDX-License-Identifier: Apache-2.0

package import Martlet

/// A log that is there and answers nothing.
package struct FailingLog: Log {
    package struct Unreachable: Error {}

    private let error: any Error

    /// - Parameter error: What it throws.
    package init(throwing error: any Error = Unreachable()) { self.error = error }

    package func open() async throws -> Position { .earliest }
    package func append(_ events: [Event], once key: String?) async throws -> [Position] { throw error }
    package func resolve(_ id: String, for selection: Selection) async throws -> Resolution { throw error }
    package func resolve(since age: Duration, for selection: Selection) async throws -> Resolution { throw error }
    package func covers(_ a: Position, _ b: Position) -> Bool { true }

    package func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        throw error
    }

    package func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        try await Task.sleep(for: .seconds(3600))
        throw error
    }
}
