// SPDX-License-Identifier: Apache-2.0

public import Logging
public import Martlet
public import ServiceLifecycle

/// Exchanges active subscriptions with the other nodes of a hub: then every node lists and announces the subscriptions of
/// all nodes.
///
///     let exchange = SubscriptionExchange(of: hub, on: board)
///     router.addMercure(of: hub, access: access, options: options, exchange: exchange)
///
/// The others learn of a subscription that begins or ends after at most two ``/Martlet/ExchangeConfiguration/interval``s,
/// or later if ``/Martlet/ExchangeConfiguration/bytesPerSecond`` demands it. They may not learn of one that begins and ends
/// between two postings. A node that shuts down removes its subscriptions. Those of a node that dies end on the others after
/// ``/Martlet/ExchangeConfiguration/expiry`` and an interval.
///
/// The exchange never holds up streams. While the board is away, each node keeps what it knows of the others until that has
/// expired by its own clock.
public final class SubscriptionExchange: Service {
    let active: ActiveSubscriptions
    private let exchange: NodeExchange

    /// - Parameters:
    ///   - hub: The hub of this node.
    ///   - board: The board that all nodes share.
    ///   - configuration: Bounds and times.
    ///   - clock: Measures the times.
    ///   - logger: Logs that the board is away, and that it is back.
    public init(
        of hub: Hub, on board: any NodeBoard, configuration: ExchangeConfiguration = ExchangeConfiguration(),
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "martlet")
    ) {
        active = ActiveSubscriptions(of: hub)
        exchange = NodeExchange(
            of: ExchangedSubscriptions(active: active), on: board, .init("Active subscriptions", "subscriptions"),
            configuration: configuration, clock: clock, logger: logger)
    }

    /// Posts and reads until the task is cancelled or the service group shuts down. Call it once.
    ///
    /// A graceful shutdown removes the posting of this node; after a cancellation, the posting expires. Shut the exchange
    /// down after the server, so that the other nodes learn of the streams that end meanwhile.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown { try await self.exchange.run() }
        if !Task.isCancelled { await exchange.leave() }
    }
}

/// The active subscriptions as a state that nodes exchange.
private struct ExchangedSubscriptions: NodeExchangeState {
    let active: ActiveSubscriptions

    var node: NodeName { active.node }
    var revision: Int { active.revision }

    func posting(atMost bytes: Int) -> (bytes: [UInt8], revision: Int, entries: Int, omitted: Int) {
        let (connections, revision) = active.own()
        let (list, omitted) = ConnectionList.encode(connections, atMost: bytes)
        return (list, revision, connections.count, omitted)
    }

    /// Replaces the connections of another node, and announces the changes.
    func replace(_ node: NodeName, with bytes: [UInt8]?) async throws {
        let changes = active.replace(node, with: try bytes.map(ConnectionList.decode) ?? [])
        for (entries, isActive) in [(changes.ended, false), (changes.began, true)] {
            for entry in entries {
                await active.announce(entry, isActive: isActive)
                // There may be many changes, and other tasks need the thread.
                await Task.yield()
            }
        }
    }
}
