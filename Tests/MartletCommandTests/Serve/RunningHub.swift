// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletTesting
import ServiceLifecycle
import TestSupport

@testable import MartletCommand

/// A hub with its servers on free ports of this machine, as `martlet serve` runs it.
struct RunningHub: Sendable {
    let port: Int
    /// The port of the server for operators; 0 if there is none.
    let metricsPort: Int
    let log: RecordingLog

    private static var portPattern: Regex<(Substring, Substring)> {
        #/Open http://127\.0\.0\.1:(\d+)\//#
    }
    private static var metricsPortPattern: Regex<(Substring, Substring)> { #/Metrics are on port (\d+)/# }

    /// Runs a hub with these settings, and ports and a grace period for tests, for as long as a closure runs.
    static func run(
        _ commandLine: [String: String] = [:], environment: [String: String] = [:],
        _ body: @Sendable @escaping (RunningHub) async throws -> Void
    ) async throws {
        let ports = ["port": "0", "grace": "0"].merging(commandLine) { $1 }
        let settings = try await resolve(commandLine: ports, environment: environment)
        let log = RecordingLog()
        let server = try await HubServer(settings, logger: log.logger)
        let group = ServiceGroup(configuration: .init(services: try server.services(), logger: quiet))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try await until { log.port(in: Self.portPattern) != nil && server.hub.isReady }
            if settings.metricsPort != nil { try await until { log.port(in: Self.metricsPortPattern) != nil } }
            let running = RunningHub(
                port: log.port(in: Self.portPattern) ?? 0, metricsPort: log.port(in: Self.metricsPortPattern) ?? 0,
                log: log)
            let result: Result<Void, any Error>
            do { result = .success(try await body(running)) } catch { result = .failure(error) }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            try result.get()
        }
    }

    func request(
        _ method: String, _ path: String, headers: [String: String] = [:], body: String = ""
    ) async throws -> TestResponse {
        try await TestResponse.to(method, path, headers: headers, body: body, port: port)
    }
}

extension RecordingLog {
    /// The port in the first line that has one.
    fileprivate func port(in pattern: Regex<(Substring, Substring)>) -> Int? {
        lines.lazy.compactMap { $0.firstMatch(of: pattern).flatMap { Int($0.output.1) } }.first
    }
}
