// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// How many publishers wait while the hub cannot keep up, and for how long.
///
/// For embedded logs: they hold publishers back. A shared log accepts events although one of its nodes is slow.
public struct PublishQueue: Hashable, Sendable {
    /// The bytes of events that the hub has not read yet from which on publishers wait.
    public var backlogBytes: Int
    /// The most publishers that wait at the same time. Further ones fail at once.
    public var publishers: Int
    /// How long a publisher waits before it fails.
    public var patience: Duration

    public init(
        backlogBytes: Int = 8 * 1024 * 1024, publishers: Int = 1000, patience: Duration = .seconds(2)
    ) {
        self.backlogBytes = backlogBytes
        self.publishers = publishers
        self.patience = patience
    }
}

/// Where publishers wait for room in a log, within the bounds of a ``PublishQueue``.
package final class PublishGate<C: Clock>: Sendable where C.Duration == Duration {
    package let queue: PublishQueue
    private let clock: C
    private let waiting = Atomic(0)

    package init(_ queue: PublishQueue, clock: C) {
        self.queue = queue
        self.clock = clock
    }

    /// Calls a closure until it returns a value: at once, and again whenever there may be room.
    ///
    /// - Parameters:
    ///   - room: Fires when there may be room.
    ///   - publish: Publishes, or returns `nil` if there is no room.
    /// - Throws: ``MartletError`` of the code `overloaded` if that takes too long or too many publishers wait.
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
            throw MartletError.overloaded("The hub delivers events more slowly than they are published.")
        }
    }
}

extension MartletError {
    fileprivate static func overloaded(_ reason: String) -> MartletError {
        MartletError(.overloaded, "\(reason) Nothing was published; try again later, or publish less.")
    }
}
