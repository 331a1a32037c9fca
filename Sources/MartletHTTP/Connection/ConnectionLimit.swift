// SPDX-License-Identifier: Apache-2.0

import Martlet
import Synchronization

/// Counts the connections of a server, also those that its hub has taken over, so that it refuses new ones while it can
/// still say so. What is open stays open.
final class ConnectionLimit: Sendable {
    /// What becomes of a new connection.
    enum Admission {
        case admitted
        /// Its first request is refused; see ``Connection/isAboveLimit``.
        case refused
        /// It is closed at once, and not counted.
        case closed
    }

    private let maximum: Int
    private let hub: Hub
    private let countsStreams: Bool
    private let admitted = Atomic(0)
    /// Those that are refused take nobody's place.
    private let refused = Atomic(0)

    /// How many connections above the limit are answered at the same time.
    static let mostRefusals = 128
    /// When a client that is refused may try again.
    static let retryAfter = Duration.seconds(5)
    /// How long a connection that is refused may stay open without a request.
    static let patience = Duration.seconds(2)

    /// - Parameter countsStreams: Whether the sockets that the hub has taken over are connections of this server.
    init(maximum: Int, hub: Hub, countsStreams: Bool) {
        self.maximum = maximum
        self.hub = hub
        self.countsStreams = countsStreams
    }

    /// Counts a connection until ``close(_:)``, unless it is closed at once.
    func open() -> Admission {
        // No stream is handed off meanwhile, so that each connection counts once: as a channel or as a socket.
        let admission = hub.withSocketCount { sockets in
            if admitted.load(ordering: .relaxed) + (countsStreams ? sockets : 0) < maximum {
                admitted.add(1, ordering: .relaxed)
                return Admission.admitted
            }
            guard refused.load(ordering: .relaxed) < Self.mostRefusals else { return .closed }
            refused.add(1, ordering: .relaxed)
            return .refused
        }
        if admission != .admitted { hub.connectionRefused() }
        return admission
    }

    func close(_ admission: Admission) {
        switch admission {
        case .admitted: admitted.subtract(1, ordering: .relaxed)
        case .refused: refused.subtract(1, ordering: .relaxed)
        case .closed: break
        }
    }
}
