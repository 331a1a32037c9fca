// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Martlet
import Synchronization
import TestSupport
import Testing

@testable import MartletSQLite

@Suite("The history of a log in a file", .timeLimit(.minutes(10)))
struct RetentionTests {
    private let clock = TestClocks()

    private func with(
        _ retention: Retention, _ body: (SQLiteLog, TemporaryFolder) async throws -> Void
    ) async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log(
                "hub.db", durability: .os, retention: retention, clocks: clock.machine)
            _ = try await log.open()
            try await body(log, folder)
            await log.close()
        }
    }

    @Test("The newest events are kept, as many as retention allows")
    func count() async throws {
        try await with(Retention(events: 3)) { log, _ in
            try await log.append("news", "1", "2", "3")
            try await log.follow()
            #expect(try await log.texts() == ["1", "2", "3"])
            try await log.append("news", "4")
            try await log.follow()
            #expect(try await log.texts() == ["2", "3", "4"])
            #expect(log.size.events == 3)
        }
    }

    @Test("The newest events are kept, as many bytes as retention allows", arguments: [0, 1])
    func bytes(missing: Int) async throws {
        let event = Event(topic: "news", alternates: ["other"], data: "text", id: "id", type: "type", key: "key")
        let size = event.byteCount
        try await with(Retention(bytes: 3 * size - missing)) { log, _ in
            for _ in 0..<5 { _ = try await log.append([event]) }
            try await log.follow()
            #expect(log.size == (3 - missing, (3 - missing) * size))
        }
    }

    @Test("An event is kept up to the age that retention allows")
    func age() async throws {
        try await with(Retention(age: .seconds(60))) { log, _ in
            try await log.append("news", "1")
            clock.advance(by: 20)
            try await log.append("news", "2")
            try await log.follow()
            clock.advance(by: 40)
            try await log.settle()
            #expect(try await log.texts() == ["1", "2"])
            clock.advance(by: 1)
            try await log.settle()
            #expect(try await log.texts() == ["2"])
            clock.advance(by: 20)
            try await log.settle()
            #expect(try await log.texts() == [])
            #expect(log.size == (0, 0))
            try await log.append("news", "3")
            #expect(try await log.texts() == ["3"])
        }
    }

    @Test("A reader of events that are being removed waits for the gap; any other missing event is damage")
    func leaving() async throws {
        try await with(Retention(events: 10)) { log, _ in
            let positions = try await log.append("news", "1", "2", "3", "4")
            let history = try log.history
            let read: @Sendable () async throws -> Slice = {
                try await log.read(.of("news"), after: positions[0], through: positions[3], limit: SliceLimit())
            }
            history.index.withLock { $0.leaving = 2 }
            let event = Event(topic: "news", data: "")
            var removal = try await history.file.pool.read { try Removal(1...2, from: $0, while: { _, _ in false }) }
            (removal.last, removal.count) = (2, 2)
            removal.time = clock.now
            removal.events = [(1, event), (2, event)]
            try await log.run("DELETE FROM event WHERE offset <= 2")
            let reader = Task { try await read() }
            for _ in 0..<100 { await Task.yield() }
            history.index.withLock { [removal] in $0.remove(removal) }
            let slice = try await reader.value
            #expect(slice.gap == positions[1])
            #expect(slice.records.map(\.event.data) == ["3", "4"])
            #expect(log.fault == nil)
            try await log.run("DELETE FROM event WHERE offset = 3")
            #expect(try await read().gap == positions[1])
            #expect(log.fault != nil)
        }
    }

    @Test("Events that the tail has not read are not removed")
    func notTailed() async throws {
        try await with(Retention(events: 1)) { log, _ in
            try await log.append("news", "1", "2", "3")
            try await log.settle()
            #expect(log.size.events == 3)
            try await log.follow()
            #expect(try await log.texts() == ["3"])
        }
    }

    @Test("Removing many events takes several steps, and leaves a small file")
    func parts() async throws {
        try await with(Retention(events: 20_000, age: .seconds(60))) { log, folder in
            let data = String(repeating: "x", count: 1000)
            for _ in 0..<20 {
                _ = try await log.append((0..<1000).map { _ in Event(topic: "news", data: data) })
                try await log.follow()
            }
            try await log.run("PRAGMA wal_checkpoint(TRUNCATE)")
            let large = try folder.size("hub.db")
            #expect(large > 20_000_000)
            clock.advance(by: 61)
            try await log.append("news", "last")
            try await log.follow()
            #expect(try await log.texts() == ["last"])
            let small = try folder.size("hub.db")
            #expect(small < large / 2, "\(small) bytes are left of \(large)")
        }
    }

    @Test("Resuming from a time has the events from then on, and a gap only if some of them may have been removed")
    func since() async throws {
        try await with(Retention(events: 4)) { log, _ in
            for number in 1...4 {
                try await log.append(number % 2 == 0 ? "even" : "odd", "\(number)")
                clock.advance(by: 10)
            }
            for (age, texts) in [(0, []), (10, ["4"]), (11, ["4"]), (20, ["3", "4"]), (100, ["1", "2", "3", "4"])] {
                let found = try await log.resolve(since: .seconds(age), for: .of("even", "odd"))
                #expect(found.gap == nil)
                #expect(try await log.texts(after: found.position) == texts)
            }
            try await log.append("odd", "5")
            try await log.follow()
            #expect(try await log.resolve(since: .seconds(100), for: .of("odd")).gap == .trimmed)
            #expect(try await log.resolve(since: .seconds(100), for: .of("even")).gap == nil)
            #expect(try await log.resolve(since: .seconds(39), for: .of("odd")).gap == nil)
        }
    }
}
