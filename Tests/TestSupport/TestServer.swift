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

/// A server on a free port of this machine, with the routes of a hub and of the test, for as long as a closure runs.
package struct TestServer: Sendable {
    package let port: Int
    package let hub: Hub
    package let tickets: Tickets
    private let group: ServiceGroup

    /// How the services of the hub, of the application and of the drain are combined.
    package enum Arrangement {
        /// As in `martlet serve`.
        case outerGroup
        /// As in an application that adds the hub to its own services.
        case applicationServices
    }

    /// - Parameters:
    ///   - waitsForHub: Whether the closure runs once the hub is ready, and not as soon as the port is open.
    ///   - hasFrontDoor: Whether the threads of the hub answer plain requests, as in `martlet serve`.
    ///   - doorRoutes: Adds routes that may be at the front door.
    package static func run<Value: Sendable>(
        hub: Hub = quickHub(),
        speaking server: HTTPServerBuilder? = nil,
        arrangement: Arrangement = .outerGroup,
        maximumConnections: Int = .max,
        idleTimeout: Duration = .seconds(60),
        proxies: TrustedProxies = .none,
        logger: Logger = quiet,
        access: Access<BasicEventStreamRequestContext> = .local,
        waitsForHub: Bool = true,
        hasFrontDoor: Bool = true,
        adding routes: (Router<BasicEventStreamRequestContext>) -> Void = { _ in },
        addingAtDoor doorRoutes: (Router<BasicEventStreamRequestContext>, FrontDoor?) -> Void = { _, _ in },
        _ body: @Sendable @escaping (TestServer) async throws -> Value
    ) async throws -> Value {
        let tickets = Tickets()
        let door = hasFrontDoor && server == nil ? FrontDoor() : nil
        let router = Router(context: BasicEventStreamRequestContext.self)
        router.add(middleware: ProblemMiddleware())
        routes(router)
        doorRoutes(router, door)
        router.addExamples(of: hub).addHealth(of: hub)
            .addHub(hub, access: access.accepting(tickets), frontDoor: door)
            .addStreamControl(of: hub, access: access, tickets: tickets)
        let (ports, port) = AsyncStream.makeStream(of: Int.self)
        var application = Application(
            router: router,
            server: server
                ?? .eventStreams(
                    of: hub, maximumConnections: maximumConnections, idleTimeout: idleTimeout, proxies: proxies,
                    frontDoor: door),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in
                door?.open(on: channel, logger: logger)
                port.yield(channel.localAddress?.port ?? 0)
            }, logger: logger)
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
            do {
                if waitsForHub { try await server.until(\.isReady) }
                result = .success(try await body(server))
            } catch { result = .failure(error) }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return try result.get()
        }
    }

    /// Asks the server to shut down, like a signal.
    package func shutDown() async { await group.triggerGracefulShutdown() }

    /// Waits until a condition of the hub holds.
    package func until(_ condition: (Hub) -> Bool) async throws { try await TestSupport.until { condition(hub) } }

    /// Sends a request on a new connection and reads the whole answer.
    package func request(
        _ method: String, _ path: String, headers: [String: String] = [:], body: String = ""
    ) async throws -> TestResponse {
        try await .to(method, path, headers: headers, body: body, port: port)
    }
}

/// A response as text.
package struct TestResponse {
    package let status: Int
    package let head: String
    package let body: String

    package init(_ text: String) {
        let end = text.utf8.firstRange(of: "\r\n\r\n".utf8)
        head = String(text[..<(end?.lowerBound ?? text.endIndex)])
        body = end.map { String(text[$0.upperBound...]) } ?? ""
        status = Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0
    }

    package func header(_ name: String) -> String? {
        for line in head.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts[0].lowercased() == name.lowercased() { return parts[1].drop { $0 == " " }.description }
        }
        return nil
    }

    /// The response to a request on a new connection to a port of this machine.
    package static func to(
        _ method: String, _ path: String, headers: [String: String] = [:], body: String = "", port: Int
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
