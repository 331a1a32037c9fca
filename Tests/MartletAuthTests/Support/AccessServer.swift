// SPDX-License-Identifier: Apache-2.0

import MartletHTTP
import MartletTesting
import TestSupport

/// A hub on a free port of this machine, with an access of its own, for as long as a closure runs.
struct AccessServer {
    let port: Int

    static func run(
        _ access: Access<BasicEventStreamRequestContext>,
        _ body: @escaping @Sendable (AccessServer) async throws -> Void
    ) async throws {
        try await TestServer.run(access: access) { try await body(AccessServer(port: $0.port)) }
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
