// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets only so many tasks read at the same time. The others wait.
final class ReadGate: Sendable {
    private let free: Mutex<Int>
    private let left = Signal()

    init(capacity: Int) { free = Mutex(max(1, capacity)) }

    private func enter() -> Bool {
        free.withLock { free in
            guard free > 0 else { return false }
            free -= 1
            return true
        }
    }

    func pass<Value>(_ body: () async throws -> Value) async throws -> Value {
        try await left.wait { enter() ? () : nil }
        defer {
            free.withLock { $0 += 1 }
            left.fire()
        }
        return try await body()
    }
}
