// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import HummingbirdCore
import MartletTesting
import NIOCore
import ServiceLifecycle
import Synchronization

/// An HTTP server on a free port of this machine that answers as a test says, for as long as a closure runs.
final class FakeServer: Sendable {
    typealias Answer = @Sendable (Request) async throws -> Response

    private struct State {
        var answer: Answer = { _ in Response(status: .notFound) }
        var requests: [HTTPRequest] = []
        var port = 0
    }

    private let state = Mutex(State())

    private init() {}

    /// The heads of everything that was asked so far.
    var requests: [HTTPRequest] { state.withLock { $0.requests } }

    var url: String { "http://127.0.0.1:\(state.withLock { $0.port })/" }

    func answer(_ answer: @escaping Answer) { state.withLock { $0.answer = answer } }

    func answer(_ status: HTTPResponse.Status = .ok, _ headers: HTTPFields = [:], _ body: String) {
        answer { _ in Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(string: body))) }
    }

    private func respond(to request: Request) async throws -> Response {
        let answer = state.withLock { state in
            state.requests.append(request.head)
            return state.answer
        }
        return try await cancelWhenGracefulShutdown { try await answer(request) }
    }

    static func run(_ body: @escaping @Sendable (FakeServer) async throws -> Void) async throws {
        let server = FakeServer()
        let router = Router()
        for path: RouterPath in ["/", "**"] {
            router.get(path) { request, _ in try await server.respond(to: request) }
        }
        let (ports, port) = AsyncStream.makeStream(of: Int.self)
        let application = Application(
            router: router, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { port.yield($0.localAddress?.port ?? 0) }, logger: quiet)
        // A connection that a cancelled server has just accepted would stop the process.
        let group = ServiceGroup(configuration: .init(services: [application], logger: quiet))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let bound = try await TestConnection.withPatience { await ports.first { _ in true } }
            server.state.withLock { $0.port = bound ?? 0 }
            let result: Result<Void, any Error>
            do { result = .success(try await body(server)) } catch { result = .failure(error) }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            try result.get()
        }
    }
}
