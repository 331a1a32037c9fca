// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdCore
import Martlet
import MartletHTTP
import MartletTesting

/// A hub on a free port of this machine, with an access of its own, for as long as a closure runs.
struct AccessServer {
    let port: Int

    static func run(
        _ access: Access<EventStreamRequestContext>, _ body: @escaping @Sendable (AccessServer) async throws -> Void
    ) async throws {
        let hub = Hub(log: MemoryLog(clock: ContinuousClock()), configuration: HubConfiguration(), logger: quiet)
        let router = Router(context: EventStreamRequestContext.self)
        router.add(middleware: ProblemMiddleware())
        router.addHub(hub, access: access)
        let (ports, port) = AsyncStream.makeStream(of: Int.self)
        let application = Application(
            router: router, server: .eventStreams(of: hub),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { port.yield($0.localAddress?.port ?? 0) }, logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try? await hub.run() }
            tasks.addTask { try await application.run() }
            let bound = try await TestConnection.withPatience { await ports.first { _ in true } }
            try await TestConnection.withPatience {
                while !hub.isReady { try await Task.sleep(for: .milliseconds(1)) }
            }
            defer { tasks.cancelAll() }
            try await body(AccessServer(port: bound ?? 0))
        }
    }

    /// The whole answer to a request.
    func send(_ method: String, _ path: String, _ fields: [String] = []) async throws -> String {
        let connection = try await TestConnection(port: port)
        let lines = (fields + ["Host: localhost", "Connection: close", "Content-Length: 1"]).map { $0 + "\r\n" }
            .joined()
        try await connection.send("\(method) \(path) HTTP/1.1\r\n\(lines)\r\nx")
        let text = try await connection.receiveAll()
        try await connection.close()
        return text
    }
}
