// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import TestSupport
import Testing

@testable import MartletRedis

@Suite("When the Redis server has lost events", .timeLimit(.minutes(10)))
struct LossTests {
    @Test(
        "Every reader gets a gap when a new epoch begins, and the events behind it",
        arguments: ["FLUSHALL", "DEL", "log"])
    func epoch(kind: String) async throws {
        try await RedisServer.with { server in
            let log = server.log()
            let start = try await log.open()
            try await log.append("a", "1", "2")
            let seen = try await read(2, of: log, after: start)
            let end = seen[1].position
            switch kind {
            case "FLUSHALL": try server.run("FLUSHALL")
            case "DEL": try server.run("DEL", "martlet")
            default: try server.run("DEL", "martlet:log")
            }
            let told = try await log.tail(after: end, limit: SliceLimit())
            #expect(told.gapReason == .epoch)
            let gap = try #require(told.gap)
            #expect(log.covers(gap, end))
            #expect(!log.covers(end, gap))
            try await log.append("a", "3")
            var rest = told
            if rest.records.isEmpty { rest = try await log.tail(after: told.end, limit: SliceLimit()) }
            #expect(rest.records.map(\.event.data) == ["3"])
            for record in seen {
                #expect(try await log.resolve(record.position.text, for: .of("a")).gap == .epoch)
            }
            let slice = try await log.read(.of("a"), after: end, through: rest.end, limit: SliceLimit())
            #expect(slice.gap != nil)
            #expect(slice.gapReason == .epoch)
            #expect(slice.records.last?.event.data == "3")
            await log.close()
        }
    }

    @Test("Publishing continues after another node has begun a new epoch")
    func otherNode() async throws {
        try await RedisServer.with { server in
            let (a, b) = (server.log(), server.log())
            let place = try await a.open()
            try await a.append("a", "1")
            try server.run("FLUSHALL")
            _ = try await b.open()
            try await a.append("a", "2")
            try await b.append("a", "3")
            #expect(try await b.texts() == ["2", "3"])
            var told: Slice
            repeat { told = try await a.tail(after: place, limit: SliceLimit()) } while told.gap == nil
            #expect(told.gapReason == .epoch)
            await a.close()
            await b.close()
        }
    }

    @Test("Clients that saw or missed lost events get a gap, and no others")
    func rolledBack() async throws {
        try await RedisServer.with { server in
            let (log, behind) = (server.log(), server.log())
            let start = try await log.open()
            _ = try await behind.open()
            try await log.append("a", "1", "2")
            try server.run("SAVE")
            try await log.append("a", "lost", "lost too")
            let seen = try await read(4, of: log, after: start)
            server.kill()
            try await server.start()
            try await until {
                guard log.health.isReachable else { return false }
                return try await log.texts().count == 2
            }
            try await log.append("a", "3")
            // A tail that has read the lost events misses nothing.
            #expect(try await read(1, of: log, after: seen[3].position).map(\.event.data) == ["3"])
            let late = server.log()
            let end = try await late.open()
            for node in [log, behind, late] {
                for lost in seen[2...] {
                    let told = try await node.resolve(lost.position.text, for: .of("a"))
                    #expect(told.gap == .rolledBack)
                    #expect(told.position == seen[3].position)
                }
                #expect(try await node.resolve(seen[1].position.text, for: .of("a")).gap == nil)
                let first = try await node.read(.of("a"), after: seen[0].position, through: end, limit: SliceLimit())
                #expect(first.records.map(\.event.data) == ["2"])
                #expect(first.gap == nil)
                #expect(!first.isComplete)
                let second = try await node.read(.of("a"), after: first.end, through: end, limit: SliceLimit())
                #expect(second.records.map(\.event.data) == ["3"])
                #expect(second.gapReason == .rolledBack)
                #expect(second.gap == seen[3].position)
            }
            for node in [log, behind, late] { await node.close() }
        }
    }

    @Test("A tail that missed lost events gets a gap")
    func missed() async throws {
        try await RedisServer.with { server in
            let log = server.log()
            let start = try await log.open()
            try await log.append("a", "1")
            try server.run("SAVE")
            let first = try await read(1, of: log, after: start)[0].position
            // Accepted, and lost before anybody has read it: another node knows of it.
            let lost = try await log.append("a", "lost")[0]
            server.kill()
            try await server.start()
            try await until { log.health.isReachable }
            try await log.append("a", "2")
            let late = server.log()
            _ = try await late.open()
            let told = try await late.tail(after: first, limit: SliceLimit())
            #expect(told.gap == lost)
            #expect(told.gapReason == .rolledBack)
            #expect(told.records.map(\.event.data) == ["2"])
            await log.close()
            await late.close()
        }
    }
}
#endif
