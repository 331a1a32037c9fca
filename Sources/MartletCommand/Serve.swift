// SPDX-License-Identifier: Apache-2.0

import Hummingbird
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
            services.append(.init(service: operations(hub, metrics, port: port, settings, logger)))
        }
        services.append(
            .init(
                service: EventLoopService(
                    try application(hub, exchange, metrics, access, settings, logger), on: eventLoops)))
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
        _ hub: Hub, _ metrics: PrometheusRegistry, port: Int, _ settings: ServeSettings, _ logger: Logger
    ) -> some Service {
        let router = Router()
        router.add(middleware: ProblemMiddleware())
        router.addHealth(of: hub)
        if Loopback.contains(settings.host) {
            router.add(middleware: LocalHostMiddleware(advice: "To read the metrics under another name, set host."))
        }
        router.addMetrics(as: PrometheusRegistry.contentType, metrics.render)
        return Application(
            router: router,
            configuration: .init(address: .hostname(settings.host, port: port)),
            onServerRunning: { channel in
                logger.info("Metrics are on port \(channel.localAddress?.port ?? port)")
            },
            logger: quieter(logger)
        )
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
            .addMercure(hub: hub, access: access.mercure, options: settings.access.mercure, exchange: exchange)
        if settings.access.isOpen, Loopback.contains(settings.host) {
            if settings.metricsPort == nil { router.addMetrics(as: PrometheusRegistry.contentType, metrics.render) }
        } else if !settings.access.isOpen {
            // Whoever may see how the hub does reaches its other port.
            router.addStreamControl(
                of: hub, access: access.control, tickets: access.tickets, onRevocation: access.forget)
        }
        return Application(
            router: router,
            server: .eventStreams(of: hub, maximumConnections: settings.maxConnections),
            configuration: .init(address: .hostname(settings.host, port: settings.port), backlog: backlog),
            onServerRunning: { channel in
                let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
                let url = "http://\(host):\(channel.localAddress?.port ?? settings.port)"
                let state = hub.isReady ? "is ready" : "listens, and is ready once its log is there"
                logger.info(
                    "Martlet \(state). Open \(url)/ or: curl -N \(url)/events/demo",
                    metadata: ["max-connections": "\(settings.maxConnections)", "log": "\(settings.log.text)"]
                )
            },
            eventLoopGroupProvider: .shared(eventLoops),
            logger: quieter(logger)
        )
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
