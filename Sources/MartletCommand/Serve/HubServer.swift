// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdCore
import Logging
import Martlet
import MartletHTTP
import MartletHooks
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

    /// How long the hub, which starts at the same time as its servers, may take until the report that it listens.
    private static let startTime = Duration.seconds(5)

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
    private let manager: ServiceManager?
    /// Exchanges presence with the other nodes; `nil` if there are none, or if presence is off.
    private let exchange: SubscriptionExchange?
    /// Tells a back end which topics have subscribers; `nil` if there is none.
    private let hooks: HookService?
    /// Tells the other nodes of revocations and renewals; `nil` if there are none.
    private let rights: RightsExchange?
    private let reload: SettingsReload
    private let metrics = PrometheusRegistry(help: MetricsHelp.texts)
    /// `nil` if the ends of streams are not logged.
    private let accessLog: AccessLog?

    /// - Parameters:
    ///   - manager: Learns when the hub listens.
    ///   - accessLogger: Writes the lines about streams that have ended.
    ///   - level: The level of all loggers, which can change while the hub runs.
    ///   - resolve: Reads the settings again while the hub runs; `nil`: they stay.
    /// - Throws: ``SettingsError`` if a key, a URL or a file of ``HubSettings/access`` is unusable.
    init(
        _ settings: HubSettings, manager: ServiceManager? = nil, logger: Logger, accessLogger: Logger? = nil,
        level: SharedLogLevel? = nil, resolve: (@Sendable () async throws -> HubSettings)? = nil
    ) async throws {
        self.settings = settings
        self.manager = manager
        self.logger = logger
        log = settings.makeLog(logger)
        accessLog = settings.accessLog ? AccessLog(accessLogger ?? logger, metrics: metrics) : nil
        var hookConfiguration = try settings.hooks.configuration()
        hookConfiguration?.limits.exchange = settings.exchange(every: HookLimits().exchange.interval)
        let closed = settings.hooks.closed ? hookConfiguration.map(ClosedStreams.init) : nil
        var onStreamEnd: (@Sendable (EndedStream) -> Void)?
        if accessLog != nil || closed != nil {
            onStreamEnd = { [accessLog] stream in
                accessLog?.write(stream)
                closed?.add(stream)
            }
        }
        let hub = Hub(
            log: log, configuration: settings.hubConfiguration, logger: logger, metrics: metrics,
            onStreamEnd: onStreamEnd)
        self.hub = hub
        let board = settings.access.isOpen ? nil : settings.makeBoard("rights", on: log)
        access = try await HubAccess(settings.access, store: board, logger: logger, metrics: metrics)
        rights = board.map { [access] in
            RightsExchange(
                of: hub, on: $0, tickets: access.tickets,
                configuration: settings.exchange(every: ExchangeConfiguration().interval), logger: logger,
                onRevocation: access.forget)
        }
        reload = SettingsReload(
            of: settings, hub: hub, access: access, level: level ?? SharedLogLevel(settings.logLevel), logger: logger,
            resolve: resolve ?? { settings })
        metrics.onCollect { hub.updateGauges() }
        ProcessMetrics.add(to: metrics)
        exchange =
            settings.access.subscriptions
            ? settings.makeBoard("nodes", on: log).map {
                SubscriptionExchange(
                    of: hub, on: $0, configuration: settings.exchange(every: ExchangeConfiguration().interval),
                    logger: logger)
            } : nil
        hooks = hookConfiguration.map { [metrics, log] in
            HookService(
                of: hub, configuration: $0, board: settings.makeBoard("hooks", on: log), closed: closed, logger: logger,
                metrics: metrics)
        }
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
            try await runUntilSignalled(
                services: services, patience: settings.grace + Self.leeway, logger: logger, onHangup: reload.reload)
            await end()
        } catch {
            await end()
            throw error
        }
    }

    private func end() async {
        await log.close()
        await accessLog?.flush()
    }

    /// The services of the hub. They stop from the last to the first: the streams end, then the servers stop, then the
    /// hub.
    func services() throws -> [ServiceGroupConfiguration.ServiceConfiguration] {
        var services: [ServiceGroupConfiguration.ServiceConfiguration] = [.init(service: hub)]
        if let exchange { services.append(.init(service: exchange)) }
        if let hooks { services.append(.init(service: hooks)) }
        if let rights { services.append(.init(service: rights)) }
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
        router.add(middleware: ProblemMiddleware(countingFor: hub))
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
        router.add(middleware: ProblemMiddleware(countingFor: hub))
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
        router.addHub(hub, access: access.events, frontDoor: door, exchange: rights)
            .addMercure(of: hub, access: access.mercure, options: mercure, exchange: exchange, frontDoor: door)
        // Clients that are not on this machine do not see the metrics here.
        if isLocal, settings.metricsPort == nil {
            router.addMetrics(as: PrometheusRegistry.contentType, metrics.render)
        }
        if !settings.access.isOpen {
            router.addStreamControl(
                of: hub, access: access.control, tickets: access.tickets, exchange: rights,
                onRevocation: access.forget)
        }
        let server = HTTPServerBuilder.eventStreams(
            of: hub, maximumConnections: settings.maxConnections, idleTimeout: settings.idleTimeout,
            uploadTimeout: settings.uploadTimeout, proxies: settings.proxies, frontDoor: door)
        return listener(router, server, on: settings.host.bindAddress(port: settings.port), frontDoor: door) {
            [self] port in Task { await reportStart(port: port) }
        }
    }

    /// Reports that the hub listens, and whether it is ready.
    private func reportStart(port: Int) async {
        let end = ContinuousClock.now + Self.startTime
        // The server of a shared log may be away for longer.
        while !hub.isReady, !(log is any SharedLog), .now < end { try? await Task.sleep(for: .milliseconds(2)) }
        let state = hub.isReady ? "is ready" : "listens, and is ready once its log is there"
        logger.info(
            "Martlet \(state). \(settings.host.invitation(port: port))",
            metadata: ["max-connections": "\(settings.maxConnections)", "log": "\(settings.log.text)"]
        )
        manager?.reportReady(on: Self.eventLoops, logger: logger)
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
}
