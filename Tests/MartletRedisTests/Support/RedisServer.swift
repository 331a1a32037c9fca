// SPDX-License-Identifier: Apache-2.0

#if Redis
import Foundation
import Logging
import Martlet
import Synchronization
import TestSupport

@testable import MartletRedis

/// A `redis-server` of one test, on loopback.
final class RedisServer: Sendable {
    struct NotInstalled: Error, CustomStringConvertible {
        let description = "redis-server is not installed or does not start. Install the package redis-server."
    }

    var port: Int { reserved.number }
    private let reserved: ReservedPort
    private let folder: URL
    private let options: [String]
    private let process = Mutex<ChildProcess?>(nil)

    private init(options: [String]) throws {
        reserved = try ReservedPort()
        folder = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString)")
        self.options = options
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// Runs a server while the closure runs.
    ///
    /// - Parameter options: More of its command line.
    static func with(_ options: String..., body: (RedisServer) async throws -> Void) async throws {
        let server = try RedisServer(options: options)
        defer {
            server.kill()
            try? FileManager.default.removeItem(at: server.folder)
        }
        try await server.start()
        try await body(server)
    }

    /// Starts it, where it does not run, and waits until it answers.
    func start() async throws {
        let process = try ChildProcess(
            ["redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--dir", folder.path, "--save", ""] + options)
        self.process.withLock { $0 = process }
        while process.isRunning {
            if (try? connect().run(RedisCommand("PING")) { $0.text }) == "PONG" { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw NotInstalled()
    }

    /// Ends it as a crash does.
    func kill() {
        process.withLock { process in
            process?.kill()
            process = nil
        }
    }

    /// Stops or resumes it, as a machine that does not answer.
    func signal(_ signal: Int32) { process.withLock { $0?.signal(signal) } }

    var configuration: RedisLogConfiguration {
        var configuration = RedisLogConfiguration(port: port)
        configuration.checkInterval = .milliseconds(100)
        configuration.retryDelay = .milliseconds(5)...Duration.milliseconds(50)
        return configuration
    }

    /// A node.
    func log(
        _ stream: String = "martlet", keeping events: Int = 100_000,
        _ change: (inout RedisLogConfiguration) -> Void = { _ in }
    ) -> RedisLog {
        var configuration = configuration
        configuration.stream = stream
        configuration.retention.events = events
        change(&configuration)
        return RedisLog(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    func connect() throws -> RedisConnection {
        try RedisConnection(to: RedisLogConfiguration(port: port), sockets: OpenSockets())
    }

    /// What another program does to the server.
    @discardableResult
    func run(_ words: String...) throws -> String? {
        var command = RedisCommand()
        for word in words { command.append(word) }
        return try connect().run(command) { $0.text ?? $0.integer.map { "\($0)" } }
    }
}

/// A port of loopback that no other process can take while this exists.
///
/// This process binds the port and does not listen. `SO_REUSEADDR` still lets a server listen there, again and again, and
/// without a server connections are refused.
private final class ReservedPort: Sendable {
    let number: Int
    private let socket: Int32

    init() throws {
        socket = Foundation.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var (yes, address) = (Int32(1), sockaddr_in())
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { [socket] pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(socket, pointer, size) == 0 && getsockname(socket, pointer, &size) == 0
            }
        }
        number = Int(UInt16(bigEndian: address.sin_port))
        guard isBound else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EADDRINUSE) }
    }

    deinit { close(socket) }
}
#endif
