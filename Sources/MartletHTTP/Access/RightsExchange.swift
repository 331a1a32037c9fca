// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Foundation
public import Logging
public import Martlet
import MartletSupport
public import ServiceLifecycle
import Synchronization

/// Has revocations and renewals reach the streams on all nodes of a hub that share a board.
///
///     let rights = RightsExchange(of: hub, on: board, tickets: tickets)
///     router.addStreamControl(of: hub, access: access, tickets: tickets, exchange: rights)
///
/// The others learn of them after at most two ``/Martlet/ExchangeConfiguration/interval``s. While the board is away, they
/// learn of them when it is back.
public final class RightsExchange: Service {
    private let rights: ExchangedRights
    private let exchange: NodeExchange

    /// How often nodes look for news of others, where nothing else is set.
    public static let defaultInterval = Duration.milliseconds(500)

    /// - Parameters:
    ///   - hub: The hub of this node.
    ///   - board: The board that all nodes share, which is for this alone.
    ///   - tickets: The tickets of this node, which are revoked, too.
    ///   - configuration: Bounds and times; `nil`: the usual ones.
    ///   - clock: Measures the times.
    ///   - logger: Logs that the board is away, and that it is back.
    ///   - forget: Forgets cached rights of a principal that another node has revoked.
    public init(
        of hub: Hub, on board: any NodeBoard, tickets: Tickets, configuration: ExchangeConfiguration? = nil,
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "martlet"),
        onRevocation forget: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        var usual = ExchangeConfiguration()
        usual.interval = Self.defaultInterval
        rights = ExchangedRights(hub: hub, tickets: tickets, forget: forget)
        exchange = NodeExchange(
            of: rights, on: board, .init("Revocations and renewals", "revocations"),
            configuration: configuration ?? usual,
            forgetsWhileAway: false, clock: clock, logger: logger)
    }

    /// Posts and reads until the task is cancelled or the service group shuts down. Call it once, and shut it down after the
    /// server.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown { try await self.exchange.run() }
        // The posting expires: others may not have read it yet.
    }

    /// How many other nodes there were when the board answered last.
    var otherNodes: Int { rights.otherNodes }

    func revoke(_ principal: String) { rights.tell(.revoke(principal)) }

    func renew(_ name: String, _ grant: Grant) { rights.tell(.renew(name, SharedGrant(grant))) }
}

/// What was done on this node, for the others.
final class ExchangedRights: NodeExchangeState {
    enum Action: Codable, Sendable {
        case revoke(String)
        case renew(String, SharedGrant)
    }

    private struct Entry: Codable, Sendable {
        /// Counted by the node, from one.
        var number: Int
        var action: Action
    }

    private struct State {
        /// The last that were done here, as JSON.
        var own: Deque<[UInt8]> = []
        var count = 0
        /// The number of the last action of each other node that was taken.
        var seen: [NodeName: Int] = [:]
        var others = 0
        /// Whether the board has answered once: what was done before that is not about streams of this node.
        var hasBegun = false
    }

    /// The most actions that are told. A node that was away from the board for longer misses older ones.
    static let mostActions = 10_000
    /// The most nodes, also of those that are gone, of which it is remembered what they have told.
    private static let mostNodes = 10_000

    let node = NodeName()
    private let hub: Hub
    private let tickets: Tickets
    private let forget: @Sendable (String) -> Void
    private let state = Mutex(State())

    init(hub: Hub, tickets: Tickets, forget: @escaping @Sendable (String) -> Void) {
        self.hub = hub
        self.tickets = tickets
        self.forget = forget
    }

    var otherNodes: Int { state.withLock { $0.others } }
    var revision: Int { state.withLock { $0.count } }

    func tell(_ action: Action) {
        state.withLock { state in
            state.count += 1
            // Of such types, encoding cannot fail.
            guard let json = try? JSONEncoder().encode(Entry(number: state.count, action: action)) else { return }
            state.own.append(Array(json))
            if state.own.count > Self.mostActions { state.own.removeFirst() }
        }
    }

    func posting(atMost bytes: Int) -> (bytes: [UInt8], revision: Int, entries: Int, omitted: Int) {
        let (own, revision) = state.withLock { ($0.own, $0.count) }
        var size = 2
        let newest = own.reversed().prefix { json in
            size += json.count + 1
            return size <= bytes
        }
        let list = newest.reversed().joined(separator: [UInt8(ascii: ",")])
        return (Array("[".utf8) + list + Array("]".utf8), revision, own.count, own.count - newest.count)
    }

    func replace(_ node: NodeName, with bytes: [UInt8]?) async throws {
        // One that comes back under its name goes on counting.
        guard let bytes else { return }
        let entries = try JSONDecoder().decode([Entry].self, from: Data(bytes))
        let new = state.withLock { state in
            let seen = state.seen[node] ?? 0
            if state.seen.count >= Self.mostNodes, state.seen[node] == nil { state.seen = [:] }
            state.seen[node] = max(seen, entries.last?.number ?? 0)
            return state.hasBegun ? entries.filter { $0.number > seen } : []
        }
        for entry in new {
            switch entry.action {
            case .revoke(let principal):
                tickets.revoke(principal)
                forget(principal)
                hub.revoke(principal)
            case .renew(let name, let shared):
                hub.renew(name, shared.grant())
            }
        }
    }

    func roundEnded(with others: [NodeName], isAway: Bool) {
        state.withLock { state in
            state.others = others.count
            if !isAway { state.hasBegun = true }
        }
    }
}

extension Hub {
    /// Renews the streams of the principal of a grant, on this node.
    @discardableResult
    func renew(_ name: String, _ grant: Grant) -> (renewed: Int, ended: Int) {
        guard let principal = grant.principal else { return (0, 0) }
        return renew(
            principal, name: name, grants: grant.subscribe, until: grant.instantOfEnd,
            isGranted: { (try? grant.checkSubscribing(to: $0)) != nil })
    }
}
