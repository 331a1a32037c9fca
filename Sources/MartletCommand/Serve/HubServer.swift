// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdCore
import Logging
import Martlet
import MartletHTTP
import MartletMercure
import MartletMetrics
import NIOCore
import NIOPosix
import ServiceLifecycle

#if os(Linux)
import CLinux
#endif

/// The hub with its servers, as the settings describe them.
struct HubServer {
    /// How many connections may wait to be accepted; the kernel may allow fewer.
    private static let backlog = 4096

    /// The most connections of the server on `metrics-port`. Their descriptors are among those that `max-connections`
    /// leaves.
    private static let operationsConnections = 64

    /// How long requests may take to end after the grace period.
    private static let leeway = Duration.seconds(5)

    /// One loop for each processor that this process may use; the singleton group has one for each of the machine.
    private static let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: processorCount)

    private static var processorCount: Int {
        #if os(Linux)
        Int(martlet_processor_count())
        #else
        System.coreCount
        #endif
    }

    let hub: Hub
    private let settings: HubSettings
    private let logger: Logger
    private let log: any Log
    private let access: HubAccess
    /// Exchanges presence with the other nodes; `nil` if there are none, or if presence is off.
    private let exchange: SubscriptionExchange?
    private let metrics = PrometheusRegistry(help: metricsHelp)

    /// - Throws: ``SettingsError`` if a key, a URL or a file of ``HubSettings/access`` is unusable.
    init(_ settings: HubSettings, logger: Logger) async throws {
        self.settings = settings
        self.logger = logger
        log = settings.makeLog(logger)
        let hub = Hub(log: log, configuration: settings.hubConfiguration, logger: logger, metrics: metrics)
        self.hub = hub
        access = try await HubAccess(settings.access, logger: logger)
        metrics.onCollect { hub.updateGauges() }
        exchange =
            settings.access.subscriptions
            ? settings.makeBoard().map { SubscriptionExchange(of: hub, on: $0, logger: logger) } : nil
    }

    /// Runs the hub until a signal stops it.
    ///
    /// - Throws: An error if the log cannot be opened, the hub cannot listen, or a service fails.
    func run() async throws {
        let services = try services()
        try await BindError.checkIsFree(settings.host, Self.eventLoops)
        defer { settings.host.removeSocket() }
        // An unusable file is an error before the first client is served. For a server that is away the hub waits, and is
        // not ready until then.
        if !(log is any SharedLog) { _ = try await log.open() }
        do {
            try await runUntilSignalled(services: services, patience: settings.grace + Self.leeway, logger: logger)
            await log.close()
        } catch {
            await log.close()
            throw error
        }
    }

    /// The services of the hub. They stop from the last to the first: the streams end, then the servers stop, then the
    /// hub.
    func services() throws -> [ServiceGroupConfiguration.ServiceConfiguration] {
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [.init(service: hub)]
        if let exchange { services.append(.init(service: exchange)) }
        if settings.demo {
            let publisher = SystemMetricsPublisher { [hub] in try await hub.publish($0, to: "system/metrics") }
            services.append(.init(service: publisher, failureTerminationBehavior: .ignore))
        }
        if let port = settings.metricsPort { services.append(.init(service: operationsServer(on: port))) }
        services.append(.init(service: try clientServer()))
        services.append(.init(service: DrainService(hub)))
        return services
    }

    /// The server for operators, on its own port.
    private func operationsServer(on port: Int) -> some Service {
        let router = Router(context: BasicEventStreamRequestContext.self)
        router.add(middleware: ProblemMiddleware())
        router.addHealth(of: hub)
        if settings.host.isLocal {
            router.add(middleware: LocalHostMiddleware(advice: "To read the metrics under another name, set host."))
        }
        router.addMetrics(as: PrometheusRegistry.contentType, metrics.render)
        let server = HTTPServerBuilder.bounded(
            for: hub, maximumConnections: Self.operationsConnections, idleTimeout: settings.idleTimeout,
            countsStreams: false)
        return listener(router, server, on: .hostname(settings.host.interface, port: port)) { [logger] in
            logger.info("Metrics are on port \($0)")
        }
    }

    /// The server for subscribers and publishers.
    private func clientServer() throws -> some Service {
        let router = Router(context: BasicEventStreamRequestContext.self)
        let origins = settings.access.corsOrigins
        if !origins.isEmpty { router.add(middleware: CrossOriginMiddleware(allowing: origins)) }
        router.add(middleware: ProblemMiddleware())
        router.addHealth(of: hub)
        let isLocal = settings.access.isOpen && settings.host.isLocal
        if isLocal {
            router.add(
                middleware: LocalHostMiddleware(
                    advice: "To serve other names, set publisher-key, and subscriber-key or anonymous."))
        }
        router.group().add(middleware: try MercureDiscoveryMiddleware()).addDemo(of: hub)
        var mercure = MercureOptions()
        mercure.activeSubscriptions = settings.access.subscriptions
        let door = FrontDoor(
            allowing: origins, eventLoops: Self.eventLoops, answersOnEventLoops: true, onlyLocalHosts: isLocal)
        router.addHub(hub, access: access.events, frontDoor: door)
            .addMercure(of: hub, access: access.mercure, options: mercure, exchange: exchange, frontDoor: door)
        // Clients that are not on this machine do not see the metrics here.
        if isLocal, settings.metricsPort == nil {
            router.addMetrics(as: PrometheusRegistry.contentType, metrics.render)
        }
        if !settings.access.isOpen {
            router.addStreamControl(
                of: hub, access: access.control, tickets: access.tickets, onRevocation: access.forget)
        }
        let server = HTTPServerBuilder.eventStreams(
            of: hub, maximumConnections: settings.maxConnections, idleTimeout: settings.idleTimeout, frontDoor: door)
        return listener(router, server, on: settings.host.bindAddress(port: settings.port), frontDoor: door) {
            [hub, logger, settings] port in
            let state = hub.isReady ? "is ready" : "listens, and is ready once its log is there"
            logger.info(
                "Martlet \(state). \(settings.host.invitation(port: port))",
                metadata: ["max-connections": "\(settings.maxConnections)", "log": "\(settings.log.text)"]
            )
        }
    }

    /// A server on an address. Every listener of the hub is made here, so each has its bounds.
    private func listener(
        _ router: Router<BasicEventStreamRequestContext>, _ server: HTTPServerBuilder, on address: BindAddress,
        frontDoor: FrontDoor? = nil, onRunning: @escaping @Sendable (_ port: Int) -> Void
    ) -> some Service {
        // At `info`, the libraries report what only developers of the hub need.
        var quieter = logger
        if quieter.logLevel == .info { quieter.logLevel = .notice }
        let application = Application(
            router: router,
            server: server,
            configuration: .init(address: address, backlog: Self.backlog),
            onServerRunning: { [logger] channel in
                AcceptPause.add(to: channel, logger: logger)
                frontDoor?.open(on: channel, logger: logger)
                onRunning(channel.localAddress?.port ?? 0)
            },
            eventLoopGroupProvider: .shared(Self.eventLoops),
            logger: quieter
        )
        return EventLoopService(application, on: Self.eventLoops)
    }

    private static let metricsHelp = [
        "martlet_events_published": "Events of publishers of this node that the log has accepted.",
        "martlet_publishes_overloaded": "Events refused because the hub could not keep up with its subscribers.",
        "martlet_connections_refused": "Connections refused because too many were open.",
        "martlet_streams_opened": "Streams that were opened.",
        "martlet_streams_closed": "Streams that have ended, by reason.",
        "martlet_streams": "Streams that are open.",
        "martlet_streams_on_shards": "Streams that are open and were handed off to a shard.",
        "martlet_deliveries": "Events written to subscribers.",
        "martlet_delivered_bytes": "Bytes written to subscribers.",
        "martlet_replayed_events": "Events written to subscribers from history.",
        "martlet_replay_bytes": "Bytes of history in memory for streams that are catching up.",
        "martlet_delivery_lag": "Time from reading an event from the log to writing its feed on one shard.",
        "martlet_feeds": "Distinct subscriptions that are open.",
        "martlet_gaps": "Streams that were told of missed events that are gone, by reason.",
        "martlet_window_bytes": "Bytes of events in memory for live streams.",
        "martlet_window_capacity_bytes": "The most bytes of events in memory for live streams.",
        "martlet_log_reachable": "Whether the server of a shared log answers: 1 or 0.",
        "martlet_log_lag_seconds": "Age difference between the newest event on the server and the newest event read.",
        "martlet_log_losses": "How many times the server of a shared log became unreachable.",
        "martlet_log_entries_skipped": "Entries of a shared log that are not events.",
        "martlet_shard_lag_bytes": "Bytes that the slowest shard still has to write.",
    ]
}
