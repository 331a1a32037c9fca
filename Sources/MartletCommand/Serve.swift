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

/// The hub as `martlet serve` runs it.
enum Serve {
    /// How many connections may wait to be accepted; the kernel may allow fewer.
    private static let backlog = 4096

    /// How many connections the server of `metrics-port` may have. Their descriptors are among those that
    /// `max-connections` leaves.
    private static let operationsConnections = 64

    /// How long after the grace period requests in progress may take to end.
    private static let leeway = Duration.seconds(5)

    /// One for each processor that this process may use; the singleton has one for each of the machine.
    private static let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: processorCount)

    private static var processorCount: Int {
        #if os(Linux)
        Int(martlet_processor_count())
        #else
        System.coreCount
        #endif
    }

    /// Runs the hub until it is signalled to stop.
    ///
    /// - Throws: What keeps the hub from listening, or a service from running.
    static func run(settings: ServeSettings, logger: Logger) async throws {
        let metrics = PrometheusRegistry(help: help)
        let log = settings.makeLog(logger)
        let hub = Hub(
            log: log,
            configuration: settings.hub,
            logger: logger,
            metrics: metrics
        )
        let access = try await HubAccess(settings.access, logger: logger)
        metrics.onCollect { hub.updateGauges() }
        let exchange = settings.makeExchange(of: hub, logger)
        // Services are stopped from the last to the first: streams are let go, then the server stops, then the hub.
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [.init(service: hub)]
        if let exchange { services.append(.init(service: exchange)) }
        if settings.demo {
            let publisher = SystemMetricsPublisher { try await hub.publish($0, to: "system/metrics") }
            services.append(.init(service: publisher, failureTerminationBehavior: .ignore))
        }
        if let port = settings.metricsPort {
            services.append(.init(service: operations(hub, metrics, on: port, settings, logger)))
        }
        services.append(.init(service: try application(hub, exchange, metrics, access, settings, logger)))
        services.append(.init(service: DrainService(hub)))
        // A file that cannot be used is found out before anybody is served. A server may be away: the hub waits for it,
        // and is not ready meanwhile.
        if !(log is any SharedLog) { _ = try await log.open() }
        do {
            try await runUntilSignalled(services: services, patience: settings.grace + leeway, logger: logger)
            await log.close()
        } catch {
            await log.close()
            throw error
        }
    }

    /// What is for whoever operates the hub, on a port of its own.
    private static func operations(
        _ hub: Hub, _ metrics: PrometheusRegistry, on port: Int, _ settings: ServeSettings, _ logger: Logger
    ) -> some Service {
        let router = Router(context: EventStreamRequestContext.self)
        router.add(middleware: ProblemMiddleware())
        router.addHealth(of: hub)
        if Loopback.contains(settings.host) {
            router.add(middleware: LocalHostMiddleware(advice: "To read the metrics under another name, set host."))
        }
        router.addMetrics(as: PrometheusRegistry.contentType, metrics.render)
        let server = HTTPServerBuilder.bounded(
            for: hub, maximumConnections: operationsConnections, idleTimeout: settings.idleTimeout, countsStreams: false
        )
        return listener(router, server, on: port, settings, logger) { logger.info("Metrics are on port \($0)") }
    }

    private static func application(
        _ hub: Hub, _ exchange: SubscriptionExchange?, _ metrics: PrometheusRegistry, _ access: HubAccess,
        _ settings: ServeSettings, _ logger: Logger
    ) throws -> some Service {
        let router = Router(context: EventStreamRequestContext.self)
        let origins = settings.access.corsOrigins
        if !origins.isEmpty { router.add(middleware: CrossOriginMiddleware(allowing: origins)) }
        router.add(middleware: ProblemMiddleware())
        router.addHealth(of: hub)
        if settings.access.isOpen, Loopback.contains(settings.host) {
            router.add(
                middleware: LocalHostMiddleware(
                    advice: "To serve other names, set publisher-key, and subscriber-key or anonymous."))
        }
        router.group().add(middleware: try MercureDiscoveryMiddleware()).addDemo(of: hub)
        router.addHub(hub, access: access.events)
            .addMercure(of: hub, access: access.mercure, options: settings.access.mercure, exchange: exchange)
        if settings.access.isOpen, Loopback.contains(settings.host) {
            if settings.metricsPort == nil { router.addMetrics(as: PrometheusRegistry.contentType, metrics.render) }
        } else if !settings.access.isOpen {
            // Whoever may see how the hub does reaches its other port.
            router.addStreamControl(
                of: hub, access: access.control, tickets: access.tickets, onRevocation: access.forget)
        }
        let server = HTTPServerBuilder.eventStreams(
            of: hub, maximumConnections: settings.maxConnections, idleTimeout: settings.idleTimeout)
        return listener(router, server, on: settings.port, settings, logger) { port in
            let host = settings.host.utf8.contains(UInt8(ascii: ":")) ? "[\(settings.host)]" : settings.host
            let url = "http://\(host):\(port)"
            let state = hub.isReady ? "is ready" : "listens, and is ready once its log is there"
            logger.info(
                "Martlet \(state). Open \(url)/ or: curl -N \(url)/events/demo",
                metadata: ["max-connections": "\(settings.maxConnections)", "log": "\(settings.log.text)"]
            )
        }
    }

    /// A server on a port of the host. Every listener of the hub is made here, so that each has its bounds.
    private static func listener(
        _ router: Router<EventStreamRequestContext>, _ server: HTTPServerBuilder, on port: Int,
        _ settings: ServeSettings, _ logger: Logger, onRunning: @escaping @Sendable (_ port: Int) -> Void
    ) -> some Service {
        let application = Application(
            router: router,
            server: server,
            configuration: .init(address: .hostname(settings.host, port: port), backlog: backlog),
            onServerRunning: { channel in
                AcceptPause.add(to: channel, logger: logger)
                onRunning(channel.localAddress?.port ?? port)
            },
            eventLoopGroupProvider: .shared(eventLoops),
            logger: quieter(logger)
        )
        return EventLoopService(application, on: eventLoops)
    }

    /// What the libraries underneath say at `info` is not for who runs a hub.
    private static func quieter(_ logger: Logger) -> Logger {
        var logger = logger
        if logger.logLevel == .info { logger.logLevel = .notice }
        return logger
    }
}

extension AccessSettings {
    fileprivate var mercure: MercureOptions {
        var options = MercureOptions()
        options.activeSubscriptions = subscriptions
        return options
    }
}

extension ServeSettings {
    /// What tells other nodes who is subscribed here; `nil` where nobody is told, or there are no others.
    fileprivate func makeExchange(of hub: Hub, _ logger: Logger) -> SubscriptionExchange? {
        guard access.subscriptions, let board = makeBoard() else { return nil }
        return SubscriptionExchange(of: hub, on: board, logger: logger)
    }

    fileprivate var hub: HubConfiguration {
        var configuration = HubConfiguration()
        configuration.heartbeat = heartbeat
        configuration.windowBytes = windowBytes
        configuration.shards = shards
        configuration.writeTimeout = writeTimeout
        configuration.replayBytes = replayBudget
        configuration.maximumConnectionAge = maxConnectionAge
        if let maxShardLag { configuration.maximumShardLag = maxShardLag }
        configuration.grace = grace
        configuration.startPatience = publishTimeout
        return configuration
    }
}
