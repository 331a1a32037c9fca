// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Where publishers wait for room in a log, as its ``PublishQueue`` says.
package final class PublishGate<C: Clock>: Sendable where C.Duration == Duration {
    package let queue: PublishQueue
    private let clock: C
    private let waiting = Atomic(0)

    package init(_ queue: PublishQueue, clock: C) {
        self.queue = queue
        self.clock = clock
    }

    /// Returns what a closure makes once there is room: it is asked at once, and again whenever there may be.
    ///
    /// - Parameters:
    ///   - room: Fires when there may be room.
    ///   - publish: Publishes and says so, or returns `nil` where there is no room.
    /// - Throws: ``MartletError`` of the code `overloaded` when that takes too long or too many wait already.
    package func enter<Value: Sendable>(
        _ room: Signal, _ publish: @escaping @Sendable () throws -> Value?
    ) async throws -> Value {
        if let value = try publish() { return value }
        defer { waiting.subtract(1, ordering: .relaxed) }
        guard waiting.add(1, ordering: .relaxed).newValue <= queue.publishers else {
            throw MartletError.overloaded("\(queue.publishers) publishers wait already.")
        }
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await room.wait(until: publish) }
            group.addTask {
                try await self.clock.sleep(until: self.clock.now.advanced(by: self.queue.patience), tolerance: nil)
                return nil
            }
            let value = try await group.next() ?? nil
            group.cancelAll()
            if let value { return value }
            // It may have published at the last moment.
            if let value = try? await group.next() ?? nil { return value }
            throw MartletError.overloaded("Subscribers are written to more slowly than is published.")
        }
    }
}

extension MartletError {
    fileprivate static func overloaded(_ reason: String) -> MartletError {
        MartletError(.overloaded, "\(reason) Nothing was published; try again later, or publish less.")
    }
}
