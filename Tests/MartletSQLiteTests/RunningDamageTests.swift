// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Martlet
import Synchronization
import TestSupport
import Testing

@testable import MartletSQLite

@Suite("A file that changes while its log is open", .timeLimit(.minutes(10)))
struct RunningDamageTests {
    private static let texts = (0..<300).map { "<\($0)> " + String(repeating: "x", count: 1000) }

    private let recorded = RecordingLog()

    private var complaints: [String] { recorded.lines.filter { $0.hasPrefix("error") || $0.hasPrefix("warning") } }

    /// A log with all texts in its file, nothing of which is in memory.
    private func with(
        durability: Durability = .os, _ body: (SQLiteLog, TemporaryFolder) async throws -> Void
    ) async throws {
        try await TemporaryFolder.with { folder in
            let first = folder.log("hub.db", durability: .os)
            _ = try await first.open()
            for (number, text) in Self.texts.enumerated() {
                let topic: Topic = number % 100 == 99 ? "rare" : "news"
                _ = try await first.append([
                    Event(topic: topic, data: text, id: number % 10 == 0 ? "id \(number)" : nil)
                ])
            }
            await first.close()
            let log = folder.log("hub.db", durability: durability, logger: recorded.logger)
            _ = try await log.open()
            try await body(log, folder)
            await log.close()
        }
    }

    /// Changes a byte of the text of one event.
    private func damage(_ number: Int, in folder: TemporaryFolder) throws {
        let bytes = Data(try folder.bytes("hub.db"))
        let range = try #require(bytes.range(of: Data("<\(number)>".utf8)))
        try folder.overwrite("hub.db", at: range.lowerBound + 10, with: [UInt8(ascii: "y")])
    }

    /// Reads to the end of history as a client does: texts, and what gaps say.
    private func read(_ log: SQLiteLog, _ selection: Selection? = nil, events: Int = 256) async throws -> [String] {
        let end = try await log.open()
        var (place, found): (Position, [String]) = (.earliest, [])
        while true {
            let slice = try await log.read(selection, after: place, through: end, limit: SliceLimit(events: events))
            if let gap = slice.gap { found.append("\(slice.gapReason.rawValue) \(gap.text.split(separator: "-")[1])") }
            found += slice.records.map(\.event.data)
            place = slice.end
            if slice.isComplete { return found }
        }
    }

    private func expectRefusal(by log: SQLiteLog) async {
        for _ in 0..<3 {
            let error = await #expect(throws: MartletError.self) { try await log.append("news", "more") }
            #expect(error?.code == .storageFailed)
            #expect(error?.message.contains("restart the hub") == true)
        }
        #expect(log.fault?.code == .storageFailed)
    }

    @Test(
        "A reader receives a gap in place of a changed event, and every other event",
        arguments: [1, 7, 256])
    func changedEvent(events: Int) async throws {
        try await with { log, folder in
            try damage(150, in: folder)
            for _ in 0..<3 {
                let found = try await read(log, events: events)
                #expect(found == Self.texts[..<150] + ["damaged 151"] + Self.texts[151...])
            }
            #expect(complaints.count == 1)
            #expect(complaints.first?.contains("event 151") == true)
            await expectRefusal(by: log)
            #expect(complaints.count == 1)
        }
    }

    @Test("A reader that does not select the changed event receives no gap")
    func notSelected() async throws {
        try await with { log, folder in
            try damage(150, in: folder)
            #expect(try await read(log, .of("rare")) == [99, 199, 299].map { Self.texts[$0] })
            #expect(try await read(log, .of("news")).filter { !$0.hasPrefix("<") } == ["damaged 151"])
        }
    }

    @Test("Adjacent unreadable events are one gap, also at the beginning and at the end")
    func manyEvents() async throws {
        try await with { log, _ in
            try await log.run(
                "UPDATE event SET retry = 1 WHERE offset < 4 OR offset BETWEEN 101 AND 105 OR offset > 298")
            #expect(
                try await read(log)
                    == ["damaged 3"] + Self.texts[3..<100] + ["damaged 105"] + Self.texts[105..<298] + ["damaged 300"])
        }
    }

    @Test("An unreadable page costs the events on it, and the reader receives a gap")
    func page() async throws {
        try await with { log, folder in
            let bytes = Data(try folder.bytes("hub.db"))
            let place = try #require(bytes.range(of: Data("<150>".utf8))).lowerBound
            try folder.overwrite("hub.db", at: place / 4096 * 4096, with: Array(repeating: 0xFF, count: 4096))
            let found = try await read(log)
            let texts = found.filter { $0.hasPrefix("<") }
            #expect(texts.count >= 280 && texts.count < 300)
            #expect(found.contains { $0.hasPrefix("damaged") })
            #expect(texts == Self.texts.filter(texts.contains))
            #expect(complaints.count == 1)
        }
    }

    @Test("Ids and times resolve in spite of damage, to no later position than without it")
    func resolving() async throws {
        try await with { log, _ in
            try await log.run("UPDATE event SET retry = 1 WHERE offset IN (141, 150, 151, 152)")
            let selection = Selection.of("news", "rare")
            #expect(try await log.resolve("id 150", for: selection).gap == .unknown)
            let found = try await log.resolve("id 160", for: selection)
            #expect(found.gap == nil)
            #expect(try await log.texts(after: found.position) == Array(Self.texts[161...]))
            let since = try await log.resolve(since: .seconds(3600), for: selection)
            #expect(since.position.text.hasSuffix("-0"))
        }
    }

    @Test("Retention stops at a changed event, and logs it once")
    func trimming() async throws {
        try await with { log, folder in
            await log.close()
            let other = folder.log("hub.db", retention: Retention(events: 10), logger: recorded.logger)
            _ = try await other.open()
            try await other.run("UPDATE event SET retry = 1 WHERE offset = 3")
            for _ in 0..<5 {
                other.maintain()
                try await other.settle()
            }
            #expect(other.size.events == 300)
            #expect(complaints.count == 1)
            await expectRefusal(by: other)
            await other.close()
        }
    }

    private static let changes: [(String, @Sendable (TemporaryFolder) throws -> Void)] = [
        ("was removed", { $0.remove("hub.db") }),
        ("hub.db-wal was removed", { $0.remove("hub.db-wal") }),
        ("hub.db-shm was removed", { $0.remove("hub.db-shm") }),
        ("was removed", { folder in for name in ["", "-wal", "-shm"] { folder.remove("hub.db\(name)") } }),
        (
            "hub.db was replaced",
            { folder in
                try folder.write(try folder.bytes("hub.db"), to: "copy.db")
                try folder.move("copy.db", to: "hub.db")
            }
        ),
        (
            "hub.db-wal was replaced",
            { folder in
                try folder.move("hub.db", to: "x")
                try folder.move("x", to: "hub.db-wal")
                try folder.write([], to: "hub.db")
            }
        ),
        ("was changed", { try $0.truncate("hub.db", to: 100_000) }),
        ("was changed", { try $0.truncate("hub.db", to: 0) }),
        ("was changed", { try $0.overwrite("hub.db", at: 0, with: Array(repeating: 0, count: 4096)) }),
    ]

    @Test(
        "A log whose files have changed acknowledges nothing, and logs it once", arguments: 0..<changes.count,
        [true, false])
    func changedFiles(number: Int, isIdle: Bool) async throws {
        let (reason, change) = Self.changes[number]
        try await with { log, folder in
            try await log.append("news", "kept")
            // What is in the write-ahead log could not be missed in the file.
            if reason == "was changed" { try await log.run("PRAGMA wal_checkpoint(TRUNCATE)") }
            log.maintain()
            try await log.settle()
            #expect(log.fault == nil)
            try change(folder)
            if isIdle {
                log.maintain()
                try await log.settle()
                #expect(log.fault != nil)
            }
            await expectRefusal(by: log)
            #expect(complaints.count == 1)
            #expect(complaints.first?.contains(reason) == true || reason.contains("replaced"), "\(complaints)")
        }
    }

    @Test("A truncated write-ahead log is found before the next publish is acknowledged", arguments: [0, 1000, 20_000])
    func cutJournal(size: Int) async throws {
        try await with { log, folder in
            for number in 0..<20 { try await log.append("news", "\(number)") }
            try folder.truncate("hub.db-wal", to: size)
            await expectRefusal(by: log)
            #expect(complaints.count == 1)
        }
    }

    @Test(
        "Another program may read and checkpoint the file",
        arguments: ["PASSIVE", "TRUNCATE", "RESTART"])
    func checkpoint(mode: String) async throws {
        try await with { log, folder in
            for round in 0..<3 {
                for number in 0..<20 { try await log.append("news", "\(round) \(number)") }
                let other = try ChildProcess([
                    "python3", "-c",
                    """
                    import sqlite3
                    file = sqlite3.connect("\(folder.path("hub.db"))")
                    assert file.execute("SELECT count(*) FROM event").fetchone()[0] == \(300 + 20 * (round + 1))
                    assert file.execute("PRAGMA wal_checkpoint(\(mode))").fetchone()[0] == 0
                    """,
                ])
                #expect(try await other.exitStatus() == 0)
                log.maintain()
                try await log.settle()
                #expect(log.fault == nil)
            }
            try await log.append("news", "last")
            #expect(log.fault == nil)
            #expect(try await read(log).count == 361)
        }
    }

    @Test("A removed or replaced file stays readable while it is open")
    func removedIsReadable() async throws {
        try await with { log, folder in
            try await log.append("news", "last")
            for name in ["hub.db", "hub.db-wal", "hub.db-shm"] { folder.remove(name) }
            try folder.write(Array("something else".utf8), to: "hub.db")
            await expectRefusal(by: log)
            // By all connections at once.
            let found = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<8 { group.addTask { try await read(log) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(found.allSatisfy { $0 == Self.texts + ["last"] })
        }
    }

    @Test("Closing a log leaves files alone that replaced its own")
    func closing() async throws {
        try await with { log, folder in
            try await log.append("news", "last")
            for name in ["hub.db", "hub.db-wal", "hub.db-shm"] { folder.remove(name) }
            for name in ["hub.db", "hub.db-wal"] { try folder.write(Array(name.utf8), to: name) }
            await expectRefusal(by: log)
            await log.close()
            for name in ["hub.db", "hub.db-wal"] { #expect(try folder.bytes(name) == Array(name.utf8)) }
        }
    }

    @Test("A clean close saves what was in a removed write-ahead log")
    func removedJournal() async throws {
        try await with { log, folder in
            try await log.append("news", "last")
            folder.remove("hub.db-wal")
            await expectRefusal(by: log)
            await log.close()
            let next = folder.log("hub.db")
            _ = try await next.open()
            #expect(try await next.texts() == Self.texts + ["last"])
            #expect(next.fault == nil)
            try await next.append("news", "more")
            await next.close()
        }
    }
}
