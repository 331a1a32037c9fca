// SPDX-License-Identifier: Apache-2.0

import Martlet
import Synchronization

/// Counts the connections of a server, also those that its hub has taken over, so that it refuses new ones while it can
/// still say so. What is open stays open.
final class ConnectionLimit: Sendable {
    private let maximum: Int
    private let hub: Hub
    private let count = Atomic(0)

    /// What a client that is refused is told to wait.
    let retryAfter = Duration.seconds(5)
    /// How long a connection that is refused may stay open without a request.
    let patience = Duration.seconds(2)

    init(maximum: Int, hub: Hub) {
        self.maximum = maximum
        self.hub = hub
    }

    /// Counts a connection. Returns whether it is within the limit; it counts in any case, until it is closed.
    func open() -> Bool {
        let isWithin = count.add(1, ordering: .relaxed).newValue + hub.socketCount <= maximum
        if !isWithin { hub.connectionRefused() }
        return isWithin
    }

    func close() { count.subtract(1, ordering: .relaxed) }
}
