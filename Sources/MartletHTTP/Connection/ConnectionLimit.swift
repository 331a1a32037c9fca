// SPDX-License-Identifier: Apache-2.0

import Martlet
import NIOCore
import Synchronization

/// Counts the connections of a server, including those that its hub has taken over, and limits new ones. Above the limit,
/// the server can still answer a refusal. Open connections stay open.
final class ConnectionLimit: Sendable {
    private let maximum: Int
    private let hub: Hub
    private let countsStreams: Bool
    let proxies: TrustedProxies
    private let admitted = Atomic(0)
    /// Refused connections do not count towards the limit.
    private let refused = Atomic(0)

    /// The most connections above the limit that are answered at the same time.
    static let mostRefusals = 128
    /// When a client that is refused may try again.
    static let retryAfter = Duration.seconds(5)
    /// How long a connection that is refused may stay open without a request.
    static let patience = Duration.seconds(2)

    /// - Parameter countsStreams: Whether the sockets that the hub has taken over are connections of this server.
    init(maximum: Int, hub: Hub, countsStreams: Bool, proxies: TrustedProxies = .none) {
        self.proxies = proxies
        self.maximum = maximum
        self.hub = hub
        self.countsStreams = countsStreams
    }

    /// Counts a connection until ``close(_:)``, unless the decision is to close it at once.
    func open() -> ConnectionAdmission {
        // No stream is handed off meanwhile, so each connection counts once: as a channel or as a socket.
        let admission = hub.withSocketCount { sockets in
            if admitted.load(ordering: .relaxed) + (countsStreams ? sockets : 0) < maximum {
                admitted.add(1, ordering: .relaxed)
                return ConnectionAdmission.admitted
            }
            return openRefused()
        }
        if admission != .admitted { hub.connectionRefused() }
        return admission
    }

    private func openRefused() -> ConnectionAdmission {
        guard refused.load(ordering: .relaxed) < Self.mostRefusals else { return .closed }
        refused.add(1, ordering: .relaxed)
        return .refused
    }

    func close(_ admission: ConnectionAdmission) {
        switch admission {
        case .admitted: admitted.subtract(1, ordering: .relaxed)
        case .refused: refused.subtract(1, ordering: .relaxed)
        case .closed: break
        }
    }
}

// MARK: - The limits of an address

extension ConnectionLimit {
    /// Whether anything depends on where a connection comes from.
    var needsOrigin: Bool { (countsStreams && hub.clients.countsConnections) || !proxies.isEmpty }

    /// The other end of a connection before anything is decided about it.
    func peer(at address: SocketAddress?) -> ConnectionPeer {
        var peer = ConnectionPeer(address: address)
        peer.isHeaderDue = proxies.sendProxyHeader && proxies.contains(address)
        return peer
    }

    /// Counts a connection, and its place among those of its address, if that is known already.
    func open(from address: SocketAddress?) -> (ConnectionAdmission, ConnectionPeer) {
        let (admission, peer) = (open(), peer(at: address))
        return peer.isHeaderDue ? (admission, peer) : settle(admission, at: address)
    }

    /// Counts the place of a connection that is counted already. A connection of a trusted proxy has none, since it carries the
    /// requests of many clients.
    func settle(
        _ admission: ConnectionAdmission, at address: SocketAddress?
    ) -> (ConnectionAdmission, ConnectionPeer) {
        var peer = ConnectionPeer(address: address)
        guard admission == .admitted, countsStreams, !proxies.contains(address) else { return (admission, peer) }
        do {
            peer.place = try hub.clients.openConnection(of: ClientIdentity(address: address))
            return (admission, peer)
        } catch {
            peer.refusal = error
            hub.clientRefused(error)
            close(admission)
            return (openRefused(), peer)
        }
    }
}

/// The bounds of one connection: bytes and times.
struct ConnectionBounds: Sendable {
    /// The longest target of a request. A thousand topics of 120 bytes fit.
    static let targetBytes = 128 * 1024
    /// The most bytes of the names and values of all header fields of a request.
    static let fieldBytes = 64 * 1024
    static let fieldCount = 256
    /// A client must send or take this much, or all that is left, within each timeout.
    static let stretchBytes = 64 * 1024
    /// How long an ended connection waits for its client to close, so that the last answer is not lost in a reset. The rest of
    /// the body of an answered request must arrive in this time, too.
    static let lingering = TimeAmount.seconds(1)
    /// The most bytes that an ended connection reads and drops in this time.
    static let lingeringBytes = 8 * 1024 * 1024
    /// The timeout of both directions during a shutdown.
    static let lastTimeout = TimeAmount.seconds(1)

    /// How long a connection waits for a request, and a request for the next stretch of its body.
    var idleTimeout: TimeAmount
    /// How long a live upload may be silent. It need not keep a pace.
    var uploadTimeout = TimeAmount.seconds(300)
    /// How long the server waits for the client to take the next stretch of an answer.
    var writeTimeout: TimeAmount
}
