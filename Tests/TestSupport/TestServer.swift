// SPDX-License-Identifier: Apache-2.0

package import Hummingbird
package import HummingbirdCore
package import Logging
package import Martlet
package import MartletHTTP
import MartletTesting
import NIOCore
import NIOPosix
import ServiceLifecycle

/// A server on a free port of this machine, with the routes of a hub and whatever else is added, for as long as a closure
/// runs.
package struct TestServer: Sendable {
    package let port: Int
    package let hub: Hub
    package let tickets: Tickets
    private let group: ServiceGroup

    /// How the hub, the application and what drains them are put together.
    package enum Arrangement {
        /// As `martlet serve` does.
        case outerGroup
        /// As an application does that adds the hub to its own services.
        case applicationServices
    }

    package static func run<Value: Sendable>(
        hub: Hub = quickHub(),
        speaking server: HTTPServerBuilder? = nil,
        arrangement: Arrangement = .outerGroup,
        maximumConnections: Int = .max,
        idleTimeout: Duration = .seconds(60),
        logger: Logger = quiet,
        access: Access<EventStreamRequestContext> = .local,
        adding routes: (Router<EventStreamRequestContext>) -> Void = { _ in },
        _ body: @Sendable @escaping (TestServer) async throws -> Value
    ) async throws -> Value {
        let tickets = Tickets()
        let router = Router(context: EventStreamRequestContext.self)
        router.add(middleware: ProblemMiddleware())
        routes(router)
        router.addDemo(of: hub).addHealth(of: hub)
            .addHub(hub, access: access.accepting(tickets))
            .addStreamControl(of: hub, access: access, tickets: tickets)
        let (ports, port) = AsyncStream.makeStream(of: Int.self)
        var application = Application(
            router: router,
            server: server ?? .eventStreams(of: hub, maximumConnections: maximumConnections, idleTimeout: idleTimeout),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { port.yield($0.localAddress?.port ?? 0) }, logger: logger)
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
    package func shutDown() async { await group.triggerGracefulShutdown() }

    /// Waits until a condition of the hub holds, which something else brings about.
    package func until(_ condition: @Sendable @escaping (Hub) -> Bool) async throws {
        let hub = hub
        try await TestConnection.withPatience { while !condition(hub) { try await Task.sleep(for: .milliseconds(2)) } }
    }

    /// Sends a request on a connection of its own and reads the whole answer.
    package func request(
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
