// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdCore
import Logging
import Martlet
import MartletHTTP
import MartletTesting
import NIOCore
import NIOPosix
import ServiceLifecycle

/// A server on a free port of this machine, with all routes, for as long as a closure runs.
struct TestServer: Sendable {
    let port: Int
    let hub: Hub
    let tickets: Tickets
    private let group: ServiceGroup

    /// How the hub, the application and what drains them are put together.
    enum Arrangement {
        /// As `martlet serve` does.
        case outerGroup
        /// As an application does that adds the hub to its own services.
        case applicationServices
    }

    static func run<Value: Sendable>(
        hub: Hub = quickHub(),
        arrangement: Arrangement = .outerGroup,
        maximumConnections: Int = .max,
        access: Access<EventStreamRequestContext> = .local,
        adding addRoutes: (Router<EventStreamRequestContext>) -> Void = { _ in },
        _ body: @Sendable @escaping (TestServer) async throws -> Value
    ) async throws -> Value {
        let tickets = Tickets()
        let router = Router(context: EventStreamRequestContext.self)
        router.add(middleware: ProblemMiddleware())
        router.addDemo(of: hub).addHealth(of: hub)
            .addHub(hub, access: access.accepting(tickets))
            .addStreamControl(of: hub, access: access, tickets: tickets)
        addRoutes(router)
        let (ports, port) = AsyncStream.makeStream(of: Int.self)
        var application = Application(
            router: router,
            server: .eventStreams(of: hub, maximumConnections: maximumConnections),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { port.yield($0.localAddress?.port ?? 0) }, logger: quiet)
        let services: [any Service]
        switch arrangement {
        case .outerGroup:
            services = [
                hub, EventLoopService(application, on: .singletonMultiThreadedEventLoopGroup), DrainService(hub),
            ]
        case .applicationServices:
            application.addServices(hub)
            services = [application]
        }
        let group = ServiceGroup(configuration: .init(services: services, logger: quiet))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let bound = try await TestConnection.withPatience { await ports.first { _ in true } }
            let server = TestServer(port: bound ?? 0, hub: hub, tickets: tickets, group: group)
            let result: Result<Value, any Error>
            do { result = .success(try await body(server)) } catch { result = .failure(error) }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return try result.get()
        }
    }

    /// Asks the server to shut down, as a signal would.
    func shutDown() async { await group.triggerGracefulShutdown() }

    /// Waits until a condition of the hub holds, which something else brings about.
    func until(_ condition: @Sendable @escaping (Hub) -> Bool) async throws {
        let hub = hub
        try await TestConnection.withPatience { while !condition(hub) { try await Task.sleep(for: .milliseconds(2)) } }
    }

    /// Sends a request on a connection of its own and reads the whole answer.
    func request(
        _ method: String, _ path: String, headers: [String: String] = [:], body: String = ""
    ) async throws -> TestResponse {
        let connection = try await TestConnection(port: port)
        var headers = headers
        if headers["Host"] == nil { headers["Host"] = "localhost:\(port)" }
        headers["Connection"] = "close"
        headers["Content-Length"] = "\(body.utf8.count)"
        let lines = headers.map { "\($0): \($1)\r\n" }.joined()
        try await connection.send("\(method) \(path) HTTP/1.1\r\n\(lines)\r\n\(body)")
        let text = try await connection.receiveAll()
        try await connection.close()
        return TestResponse(text)
    }
}

/// A response, as it came.
struct TestResponse {
    let status: Int
    let head: String
    let body: String

    init(_ text: String) {
        let end = text.utf8.firstRange(of: "\r\n\r\n".utf8)
        head = String(text[..<(end?.lowerBound ?? text.endIndex)])
        body = end.map { String(text[$0.upperBound...]) } ?? ""
        status = Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0
    }

    func header(_ name: String) -> String? {
        for line in head.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts[0].lowercased() == name.lowercased() { return parts[1].drop { $0 == " " }.description }
        }
        return nil
    }
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A hub that neither waits before it lets its streams go nor tells its clients to.
func quickHub(
    retention: Retention = Retention(), _ configure: (inout HubConfiguration) -> Void = { _ in }
) -> Hub {
    var configuration = HubConfiguration()
    configuration.grace = .zero
    configuration.retry = .zero ... .zero
    configure(&configuration)
    return Hub(
        log: MemoryLog(retention: retention, clock: ContinuousClock()), configuration: configuration, logger: quiet)
}
