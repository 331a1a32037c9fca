// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletSQLite
import TestSupport
import Testing

@testable import MartletCommand

#if Redis
import MartletRedis
#endif

@Suite("From settings to the hub")
struct HubConfigurationTests {
    @Test("Each setting of the hub reaches its configuration")
    func configuration() async throws {
        let settings = try await resolve(commandLine: [
            "heartbeat": "500ms", "window-bytes": "1MiB", "shards": "3", "write-timeout": "9s", "replay-budget": "4MiB",
            "max-connection-age": "1h", "max-shard-lag": "128KiB", "grace": "2s", "publish-timeout": "3s",
        ])
        let configuration = settings.hubConfiguration
        #expect(configuration.heartbeat == .milliseconds(500))
        #expect(configuration.windowBytes == 1 << 20)
        #expect(configuration.shards == 3)
        #expect(configuration.writeTimeout == .seconds(9))
        #expect(configuration.replayBytes == 4 << 20)
        #expect(configuration.maximumConnectionAge == .seconds(3600))
        #expect(configuration.maximumShardLag == 128 << 10)
        #expect(configuration.grace == .seconds(2))
        #expect(configuration.startPatience == .seconds(3))
    }

    @Test("Without its setting, the greatest lag of a shard is half of the window")
    func shardLag() async throws {
        #expect(try await resolve(commandLine: ["window-bytes": "1MiB"]).hubConfiguration.maximumShardLag == 512 << 10)
    }

    @Test(
        "Each bound of history that is not set is the default of its place",
        arguments: [
            ("memory", Retention(events: 7, bytes: 64 << 20, age: .seconds(86_400))),
            ("sqlite:hub.db", Retention(events: 7, bytes: 1 << 30, age: .seconds(7 * 86_400))),
        ])
    func retention(log: String, expected: Retention) async throws {
        #expect(try await resolve(commandLine: ["log": log, "history-events": "7"]).retention == expected)
        let all = ["log": log, "history-events": "1", "history-bytes": "64KiB", "history-age": "5s"]
        #expect(
            try await resolve(commandLine: all).retention == Retention(events: 1, bytes: 64 << 10, age: .seconds(5)))
    }

    @Test("The bounds of waiting publishers are those of the settings")
    func publishQueue() async throws {
        let queue = try await resolve(commandLine: ["publish-queue": "5", "publish-timeout": "1s"]).publishQueueBounds
        #expect(queue.publishers == 5)
        #expect(queue.patience == .seconds(1))
    }

    @Test("Each place for history has its log, and only a shared one has a board")
    func logs() async throws {
        let memory = try await resolve()
        #expect(memory.makeLog(quiet) is MemoryLog<ContinuousClock>)
        #expect(memory.makeBoard("nodes", on: memory.makeLog(quiet)) == nil)
        let file = try await resolve(commandLine: ["log": "sqlite:hub.db"])
        #expect(file.makeLog(quiet) is SQLiteLog)
        #expect(file.makeBoard("nodes", on: file.makeLog(quiet)) == nil)
        #if Redis
        let shared = try await resolve(commandLine: ["log": "redis://localhost"])
        #expect(shared.makeLog(quiet) is RedisLog)
        #expect(shared.makeBoard("nodes", on: shared.makeLog(quiet)) is RedisBoard)
        #endif
        #if Kafka
        let topic = try await resolve(commandLine: ["log": "kafka://localhost/events"])
        #expect(topic.makeBoard("nodes", on: topic.makeLog(quiet)) is LogBoard)
        let reader = try await resolve(commandLine: ["log": "kafka://localhost/events", "read-only": "true"])
        #expect(reader.makeBoard("nodes", on: reader.makeLog(quiet)) == nil)
        #endif
    }

    @Test("Settings that are probably mistakes are warned of")
    func warnings() async throws {
        #expect(try await resolve().warnings(commandLine: [:], environment: ["PATH": "/bin"]) == [])
        let environment = ["MARTLET_POTR": "1", "MERCURE_EXTRA_DIRECTIVES": "demo"]
        #expect(
            try await resolve().warnings(commandLine: [:], environment: environment) == [
                "Ignoring MARTLET_POTR: no option has this environment variable",
                "Ignoring the directive demo: this hub has no such directive",
            ])
        let origins = try await resolve(commandLine: ["cors-origin": "https://a.example null"])
        #expect(
            origins.warnings(commandLine: [:], environment: [:]) == [
                "Allowing the origin null lets every site in, with the cookies of its visitors"
            ])
        let wildcard = try await resolve(commandLine: ["cors-origin": "*"])
        #expect(wildcard.warnings(commandLine: [:], environment: [:]) == [])
    }

    #if Redis
    @Test("A password is warned of on the command line, and nowhere else")
    func password() async throws {
        let log = ["log": "redis://:sesame@localhost"]
        let settings = try await resolve(commandLine: log)
        let warnings = settings.warnings(commandLine: log, environment: [:])
        #expect(warnings == ["Others can see the password on the command line; set MARTLET_LOG instead of --log"])
        #expect(settings.warnings(commandLine: [:], environment: [:]) == [])
    }
    #endif

    @Test("No more connections are allowed than there are descriptors")
    func connections() async throws {
        var settings = try await resolve(commandLine: ["max-connections": "5000"])
        #expect(settings.limitConnections(descriptorLimit: 100_000) == nil)
        #expect(settings.maxConnections == 5000)
        #expect(settings.limitConnections(descriptorLimit: 4096)?.hasPrefix("Allowing only 3584 connections") == true)
        #expect(settings.maxConnections == 3584)
    }
}
