// SPDX-License-Identifier: Apache-2.0

public import Logging
public import Martlet
import MartletSupport
public import Metrics
public import ServiceLifecycle

/// Tells an application over HTTP which topics have subscribers, so that what produces their events runs only while they
/// are read.
///
///     let hooks = HookService(of: hub, configuration: try HookConfiguration(url: "http://127.0.0.1:3000/hooks"))
///     try await ServiceGroup(services: [hub, hooks, server], logger: logger).run()
///
/// Nodes that share a log need a board (``/Martlet/NodeBoard``), which is for this alone: then one of them sends the hooks
/// of all. Run it behind the hub and before the servers, so that it stops after them.
public final class HookService: Service {
    private let hub: Hub
    private let configuration: HookConfiguration
    private let board: (any NodeBoard)?
    private let closed: ClosedStreams?
    private let clock: any Clock<Duration>
    private let logger: Logger
    private let metrics: HookMetrics

    /// - Parameters:
    ///   - hub: The hub of this node.
    ///   - board: The board of the nodes that share a log; `nil`: this node sends hooks for its own streams.
    ///   - closed: The streams that have ended on this node, which sends hooks about them; `nil`: there are none.
    ///   - clock: Measures the times.
    ///   - logger: Logs that the receiver does not answer, and that it does again.
    ///   - metrics: The metrics backend; by default the one of the process.
    public init(
        of hub: Hub, configuration: HookConfiguration, board: (any NodeBoard)? = nil,
        closed: ClosedStreams? = nil, clock: any Clock<Duration> = ContinuousClock(),
        logger: Logger = Logger(label: "martlet"),
        metrics: any MetricsFactory = MetricsSystem.factory
    ) {
        self.hub = hub
        self.configuration = configuration
        self.board = board
        self.closed = closed
        self.clock = clock
        self.logger = logger
        self.metrics = HookMetrics(metrics)
    }

    /// Sends hooks until the task is cancelled or the service group shuts down. Call it once.
    ///
    /// A graceful shutdown tries for two seconds to deliver what waits.
    public func run() async throws { await run(by: clock) }

    private func run<RunClock: Clock<Duration>>(by clock: RunClock) async {
        let sender = HookSender(configuration)
        let run = HookRun(
            .ofAge(.now), configuration.limits, hasBoard: board != nil, clock: clock, logger: logger, metrics: metrics,
            occupancy: hub.occupancy(of: configuration.topics, limit: configuration.limits.trackedTopics),
            closed: closed, isDraining: { [hub] in hub.isDraining }, send: sender.send)
        let exchange = board.map { board in
            NodeExchange(
                of: run, on: board, .init("Occupied topics", "topics"), configuration: configuration.limits.exchange,
                forgetsWhileAway: false, clock: clock, logger: logger)
        }
        await cancelWhenGracefulShutdown { await run.work(exchange) }
        guard !Task.isCancelled else { return }
        await run.flush()
        await exchange?.leave()
    }
}

extension NodeName {
    /// A new name that stands behind those of nodes that have begun before, as far as clocks agree.
    fileprivate static func ofAge(_ start: WallTime) -> NodeName {
        NodeName(text: UInt64(clamping: start.milliseconds).hexText + NodeName().text)
    }
}
