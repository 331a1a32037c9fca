// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import TestSupport
import Testing

@testable import MartletRedis

@Suite("Other programs that use the stream", .timeLimit(.minutes(10)))
struct OthersTests {
    @Test("Entries of other programs are events")
    func entries() async throws {
        try await RedisServer.with { server in
            let log = server.log()
            let start = try await log.open()
            let plain = try server.run("XADD", "martlet", "*", "topic", "orders/42", "data", "shipped")
            try server.run(
                "XADD", "martlet", "*", "data", "", "alternate", "b", "topic", "a", "alternate", "c", "id", "own",
                "type",
                "t", "retry", "5", "key", "k", "private", "1", "other", "x")
            let records = try await read(2, of: log, after: start)
            #expect(records[0].event == Event(topic: "orders/42", data: "shipped"))
            #expect(records[0].position.text.hasSuffix("-\(plain ?? "")"))
            let full = Event(
                topic: "a", alternates: ["b", "c"], data: "", id: "own", type: "t", retry: 5, key: "k", isPrivate: true)
            #expect(records[1].event == full)
            // Known by its id as soon as it was counted.
            let selection = Selection.of("c", includesPrivate: true)
            try await until { try await log.resolve("own", for: selection).gap == nil }
            #expect(try await log.resolve("own", for: selection).position == records[1].position)
            await log.close()
        }
    }

    @Test(
        "Entries that are not valid events are skipped",
        arguments: [
            ["x", "y"], ["topic", "a"], ["data", "1"], ["topic", "", "data", "1"], ["topic", "a\n", "data", "1"],
            ["topic", "a", "data", "1", "data", "2"], ["topic", "a", "data", "1", "retry", "soon"],
            ["topic", "a", "data", "1", "retry", "-1"], ["topic", "a", "data", "1", "private", "yes"],
            ["topic", "a", "data", "1", "type", "a\nb"], ["topic", "a", "data", "1", "type", "gap"],
            ["topic", "a", "data", "1", "id", "earliest"], ["topic", "a", "data", "1", "id", "abcdefgh-1-0"],
            ["topic", "/.well-known/mercure/subscriptions", "data", "1"],
        ])
    func rubbish(fields: [String]) async throws {
        try await RedisServer.with { server in
            let log = server.log()
            let start = try await log.open()
            var command = RedisCommand("XADD", "martlet", "*")
            for field in fields { command.append(field) }
            try server.connect().run(command) { _ in }
            try await log.append("a", "next")
            #expect(try await read(1, of: log, after: start).map(\.event.data) == ["next"])
            #expect(try await log.texts() == ["next"])
            #expect(log.health.skipped == 1)
            await log.close()
        }
    }

    @Test("Entries of other programs are counted, and removed when they exceed retention")
    func retention() async throws {
        try await RedisServer.with { server in
            let log = server.log(keeping: 10)
            _ = try await log.open()
            for number in 0..<30 {
                try server.run("XADD", "martlet", "*", "topic", "a", "data", "\(number)", "id", "i")
            }
            try await until { try server.run("XLEN", "martlet") == "10" }
            #expect(try await log.texts() == (20..<30).map(String.init))
            #expect(try server.run("ZCARD", "martlet:ids") == "11")
            await log.close()
        }
    }

    @Test("If other programs remove entries, clients that may have missed one get a gap")
    func trimmed() async throws {
        try await RedisServer.with { server in
            let log = server.log()
            let start = try await log.open()
            try await log.append("a", "1", "2", "3", "4")
            let records = try await read(4, of: log, after: start)
            try server.run("XTRIM", "martlet", "MAXLEN", "2")
            try await until { try await log.resolve(records[0].position.text, for: .of("a")).gap == .trimmed }
            #expect(try await log.resolve(records[2].position.text, for: .of("a")).gap == nil)
            await log.close()
        }
    }

    @Test("History keeps as many bytes as retention allows")
    func bytes() async throws {
        try await RedisServer.with { server in
            let event = Event(topic: "a", alternates: ["b"], data: "é", id: "i", type: "t", key: "k")
            let log = server.log { $0.retention.bytes = 3 * event.byteCount }
            _ = try await log.open()
            for _ in 0..<3 { _ = try await log.append([event]) }
            #expect(try server.run("XLEN", "martlet") == "3")
            for _ in 0..<3 { _ = try await log.append([event]) }
            #expect(try server.run("XLEN", "martlet") == "3")
            #expect(try server.run("HGET", "martlet:log", "bytes") == "\(3 * event.byteCount)")
            await log.close()
        }
    }

    @Test("Events that are too old are removed, also if nothing is published")
    func age() async throws {
        try await RedisServer.with { server in
            let log = server.log { $0.retention.age = .milliseconds(300) }
            _ = try await log.open()
            let position = try await log.append("a", "1")[0]
            try await until { try server.run("XLEN", "martlet") == "0" }
            #expect(try await log.resolve("earliest", for: .of("a")).gap == nil)
            #expect(try await log.resolve(since: .seconds(60), for: .of("a")).gap == .trimmed)
            #expect(try await log.resolve(since: .seconds(60), for: .of("b")).gap == nil)
            #expect(try await log.resolve(position.text, for: .of("a")).gap == nil)
            try await log.append("a", "2")
            try await until { try server.run("XLEN", "martlet") == "0" }
            await log.close()
        }
    }

    @Test("A server clock that jumps ahead removes no event at once")
    func clockAhead() async throws {
        try await RedisServer.with { server in
            let day: Int64 = 86_400_000
            let log = server.log { $0.retention.age = .seconds(86_400) }
            _ = try await log.open()
            try await log.append("a", "1", "2")
            // For the log this is the same as a clock that is 30 days ahead from now on.
            let now = try #require(try server.run("HGET", "martlet:log", "clock").flatMap { Int64($0) })
            let before = now - 30 * day
            try server.run("HSET", "martlet:log", "clock", "\(before)")
            try await until {
                try server.run("HGET", "martlet:log", "clock").flatMap { Int64($0) }.map { $0 > before } ?? false
            }
            #expect(try await log.texts() == ["1", "2"])
            let clock = try #require(try server.run("HGET", "martlet:log", "clock").flatMap { Int64($0) })
            #expect(clock < before + day)
            let since = try await log.resolve(since: .seconds(3600), for: .of("a"))
            #expect(try await log.texts(after: since.position) == ["1", "2"])
            await log.close()
        }
    }

    @Test("Ages count again once the clock has caught up")
    func clockCaughtUp() async throws {
        try await RedisServer.with { server in
            let log = server.log { $0.retention.age = .milliseconds(300) }
            _ = try await log.open()
            let clock = try #require(try server.run("HGET", "martlet:log", "clock").flatMap { Int64($0) })
            try await log.append("a", "1")
            try server.run("HSET", "martlet:log", "clock", "\(clock - 30_000)")
            try await until { try server.run("XLEN", "martlet") == "0" }
            await log.close()
        }
    }

    @Test(
        "A foreign value in place of the epoch is logged, and the log waits",
        arguments: ["", "x", "ABCDEFGH", "abc\ndefg"])
    func foreignEpoch(epoch: String) async throws {
        try await RedisServer.with { server in
            try server.run("HSET", "martlet:log", "epoch", epoch)
            let recorded = RecordingLog()
            let log = RedisLog(server.configuration, logger: recorded.logger)
            let opening = Task { try await log.open() }
            try await until { recorded.lines.contains { $0.contains("no epoch of Martlet") } }
            try server.run("DEL", "martlet:log")
            _ = try await opening.value
            try await log.append("a", "1")
            await log.close()
        }
    }

    @Test("Topics are remembered up to the bound")
    func topics() async throws {
        try await RedisServer.with { server in
            let log = server.log(keeping: 1) { $0.trimmedTopics = 4 }
            let start = try await log.open()
            for number in 0..<20 { _ = try await log.append([Event(topic: try Topic("t\(number)"), data: "")]) }
            let count = try #require(try server.run("HLEN", "martlet:trimmed").flatMap { Int($0) })
            #expect((2...4).contains(count))
            #expect(try await log.resolve(start.text, for: .of("t18")).gap == .trimmed)
            // Forgotten, so a client that missed nothing may get a gap.
            #expect(try await log.resolve(start.text, for: .of("quiet")).gap == .trimmed)
            await log.close()
        }
    }

    @Test("A stream with a million entries can be opened", .enabled(if: FuzzSettings.count != nil))
    func large() async throws {
        try await RedisServer.with { server in
            let connection = try server.connect()
            for start in stride(from: 0, to: 1_000_000, by: 10_000) {
                for number in start..<start + 10_000 {
                    connection.send(
                        RedisCommand("XADD", "martlet", "*", "topic", "a", "data", "\(number)", "id", "\(number)"))
                }
                for _ in 0..<10_000 { try connection.receive { _ in } }
            }
            let log = server.log(keeping: 500_000)
            _ = try await log.open()
            try await until { try server.run("XLEN", "martlet") == "500000" }
            await log.close()
        }
    }
}
#endif
