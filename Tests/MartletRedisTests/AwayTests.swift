// SPDX-License-Identifier: Apache-2.0

#if Redis
import Foundation
import Martlet
import TestSupport
import Testing

@testable import MartletRedis

@Suite("When the Redis server is away", .timeLimit(.minutes(10)))
struct AwayTests {
    @Test("Publishing fails meanwhile, and everything continues when it is back")
    func goesOn() async throws {
        try await RedisServer.with("--appendonly", "yes", "--appendfsync", "always") { server in
            let log = server.log { $0.patience = .milliseconds(50) }
            let start = try await log.open()
            try await log.append("a", "1")
            let losses = log.health.losses
            server.kill()
            await #expect { try await log.append("a", "refused") } throws: { error in
                (error as? MartletError)?.code == .storageFailed
            }
            #expect(!log.health.isReachable)
            async let tailed = read(3, of: log, after: start)
            try await server.start()
            try await until { log.health.isReachable }
            try await log.append("a", "2", "3")
            let records = try await tailed
            #expect(records.map(\.event.data) == ["1", "2", "3"])
            #expect(try await log.resolve(records[0].position.text, for: .of("a")).gap == nil)
            #expect(log.health.losses > losses)
            await log.close()
        }
    }

    @Test("A group whose answer was lost is sent again, and added once")
    func lostAnswer() async throws {
        try await RedisServer.with { server in
            let log = server.log {
                $0.commandTimeout = .milliseconds(100)
                $0.patience = .seconds(20)
            }
            _ = try await log.open()
            try await log.append("a", "1")
            server.signal(SIGSTOP)
            async let positions = log.append([Event(topic: "a", data: "2")])
            // The tail and the writer have each given up on a connection.
            try await until { !log.health.isReachable }
            try await Task.sleep(for: .milliseconds(300))
            server.signal(SIGCONT)
            let position = try await positions[0]
            #expect(try await log.texts() == ["1", "2"])
            #expect(try await log.resolve(position.text, for: .of("a")).position == position)
            #expect(try server.calls(of: "evalsha") > 3)
            await log.close()
        }
    }

    @Test("Opening waits for a server that is not there yet")
    func opening() async throws {
        try await RedisServer.with { server in
            server.kill()
            let log = server.log()
            async let opened = log.open()
            try await until { log.health.losses == 0 && !log.health.isReachable }
            await #expect { try await log.append("a", "1") } throws: { ($0 as? MartletError)?.code == .notRunning }
            try await server.start()
            _ = try await opened
            try await log.append("a", "1")
            #expect(try await log.texts() == ["1"])
            await log.close()
        }
    }

    @Test("Opening can be cancelled")
    func cancelled() async throws {
        let log = RedisLog(RedisLogConfiguration(port: 1))
        let opening = Task { try await log.open() }
        opening.cancel()
        await #expect(throws: CancellationError.self) { try await opening.value }
        await log.close()
    }

    @Test("A hub that waits for its log is not ready, refuses publishers after a while, and can be stopped")
    func hub() async throws {
        var configuration = HubConfiguration()
        configuration.startPatience = .milliseconds(10)
        let hub = Hub(log: RedisLog(RedisLogConfiguration(port: 1)), configuration: configuration)
        let running = Task { try await hub.run() }
        await #expect { try await hub.publish("1", to: "a") } throws: { ($0 as? MartletError)?.code == .notRunning }
        #expect(!hub.isReady)
        running.cancel()
        await #expect(throws: CancellationError.self) { try await running.value }
    }

    @Test("Reading history fails after the patience; a client that is up to date resumes without the server")
    func reading() async throws {
        try await RedisServer.with { server in
            let log = server.log { $0.patience = .milliseconds(50) }
            let start = try await log.open()
            try await log.append("a", "1")
            let end = try await read(1, of: log, after: start)[0].position
            server.kill()
            await #expect { try await log.resolve("unknown", for: .of("a")) } throws: {
                ($0 as? MartletError)?.code == .storageFailed
            }
            await #expect { try await log.read(nil, after: .earliest, through: end, limit: SliceLimit()) } throws: {
                ($0 as? MartletError)?.code == .storageFailed
            }
            #expect(try await log.resolve(end.text, for: .of("a")) == Resolution(position: end))
            await log.close()
        }
    }

    @Test("A key that is not a stream cannot be opened")
    func wrongType() async throws {
        try await RedisServer.with { server in
            try server.run("SET", "martlet", "1")
            let log = server.log()
            await #expect(throws: RedisLogError.wrongType(key: "martlet")) { try await log.open() }
            await log.close()
        }
    }

    @Test("A password is sent, and a wrong one opens nothing")
    func password() async throws {
        try await RedisServer.with { server in
            try server.run("CONFIG", "SET", "requirepass", "a secret")
            let wrong = server.log { $0.password = "no secret" }
            let opening = Task { try await wrong.open() }
            let log = server.log { $0.password = "a secret" }
            _ = try await log.open()
            try await log.append("a", "1")
            #expect(try await log.texts() == ["1"])
            #expect(!wrong.health.isReachable)
            opening.cancel()
            await wrong.close()
            await log.close()
        }
    }

    @Test("Publishes over the bound fail at once")
    func bounds() async throws {
        try await RedisServer.with { server in
            let log = server.log {
                $0.queuedPublishes = 2
                $0.patience = .milliseconds(500)
                $0.commandTimeout = .milliseconds(500)
            }
            _ = try await log.open()
            server.signal(SIGSTOP)
            let codes = await withTaskGroup(of: MartletError.Code?.self) { group in
                for _ in 0..<10 {
                    group.addTask {
                        do { try await log.append("a", "1") } catch { return (error as? MartletError)?.code }
                        return nil
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            server.signal(SIGCONT)
            #expect(codes.filter { $0 == .overloaded }.count >= 6)
            #expect(!codes.contains(nil))
            await log.close()
        }
    }
}

extension RedisServer {
    /// How often a command was called.
    func calls(of command: String) throws -> Int {
        let text = try run("INFO", "commandstats") ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):calls=") }
        return line.flatMap { Int($0.drop { $0 != "=" }.dropFirst().prefix { $0.isNumber }) } ?? 0
    }
}
#endif
