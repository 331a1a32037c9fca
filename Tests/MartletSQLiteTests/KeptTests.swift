// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import GRDB
import Martlet
import Synchronization
import TestSupport
import Testing

@testable import MartletSQLite

@Suite("What a log in a file keeps besides its events", .timeLimit(.minutes(10)))
struct KeptTests {
    private static func value(_ key: String, _ data: String, of topic: Topic = "prices") -> Event {
        Event(topic: topic, data: data, key: key)
    }

    private func values(of log: SQLiteLog) async throws -> [String] {
        let present = try await log.present(through: log.open())
        return present.values.map { "\($0.event.key ?? "-")=\($0.event.data)" }
    }

    private func refusal(of events: [Event], in log: SQLiteLog) async -> MartletError.Code? {
        let error = await #expect(throws: MartletError.self) { try await log.append(events) }
        return error?.code
    }

    /// Publishes until everything before has left history.
    private func trim(_ log: SQLiteLog) async throws {
        for number in 0..<4 {
            try await log.append("busy", "\(number)")
            try await log.follow()
        }
    }

    // MARK: Values

    @Test("A value whose event was removed from history is there after a restart", arguments: [true, false])
    func removed(isClosed: Bool) async throws {
        try await TemporaryFolder.with { folder in
            let make = { folder.log("hub.db", retention: Retention(events: 2)) }
            var log = make()
            _ = try await log.open()
            let positions = try await log.append([
                Self.value("a", "old"), Self.value("b", "1"), Self.value("a", "new"), Self.value("c", "gone"),
                Self.value("c", ""), Event(topic: "prices", data: "without a key"),
            ])
            try await trim(log)
            #expect(try await log.texts() == ["2", "3"])
            #expect(try await values(of: log) == ["b=1", "a=new"])
            await log.close(properly: isClosed)
            log = make()
            _ = try await log.open()
            #expect(try await values(of: log) == ["b=1", "a=new"])
            let present = try await log.present(through: .earliest)
            #expect(present.values.map(\.position) == [positions[1], positions[2]])
            // A value that has left history is replaced, and another is removed.
            _ = try await log.append([Self.value("b", "2"), Self.value("a", "")])
            #expect(try await values(of: log) == ["b=2"])
            try await trim(log)
            #expect(try await log.rows("value") == 1)
            await log.close(properly: isClosed)
            log = make()
            _ = try await log.open()
            #expect(try await values(of: log) == ["b=2"])
            await log.close()
        }
    }

    @Test("Values follow a model, with any order of publishes, removals, restarts and crashes")
    func model() async throws {
        let seed = FuzzSettings.seed
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        try await TemporaryFolder.with { folder in
            let make = { folder.log("hub.db", durability: .os, retention: Retention(events: 8)) }
            var log = make()
            _ = try await log.open()
            var expected: [(topic: Topic, key: String, data: String)] = []
            for step in 0..<600 {
                switch Int.random(in: 0..<20, using: &generator) {
                case 0:
                    await log.close(properly: Bool.random(using: &generator))
                    log = make()
                    _ = try await log.open()
                case 1...5: try await log.follow()
                default:
                    let topic = (["a", "b", "c"] as [Topic]).randomElement(using: &generator) ?? "a"
                    let key = "\(Int.random(in: 0..<5, using: &generator))"
                    let data = Int.random(in: 0..<5, using: &generator) == 0 ? "" : "\(step)"
                    let isKeyed = Int.random(in: 0..<3, using: &generator) > 0
                    _ = try await log.append([Event(topic: topic, data: data, key: isKeyed ? key : nil)])
                    guard isKeyed else { continue }
                    expected.removeAll { $0.topic == topic && $0.key == key }
                    if !data.isEmpty { expected.append((topic, key, data)) }
                }
                let found = try await log.present(through: .earliest).values.map(\.event)
                #expect(
                    found.map { "\($0.topic) \($0.key ?? "") \($0.data)" }
                        == expected.map { "\($0.topic) \($0.key) \($0.data)" }, "step \(step), seed \(seed)")
            }
            #expect(try await log.rows("value") <= 15 + 1)
            await log.close()
        }
    }

    @Test("Beyond a bound of keys or bytes, the oldest value goes, also from the file")
    func bounds() async throws {
        let size = Self.value("0", "x").byteCount
        for bounds in [Kept.Bounds(keys: 3), Kept.Bounds(bytes: 3 * size)] {
            try await TemporaryFolder.with { folder in
                let make = { folder.log("hub.db", retention: Retention(events: 2), kept: bounds) }
                var log = make()
                _ = try await log.open()
                for number in 0..<5 { _ = try await log.append([Self.value("\(number)", "x")]) }
                _ = try await log.append([Self.value("2", "y")])
                #expect(try await values(of: log) == ["3=x", "4=x", "2=y"])
                try await trim(log)
                #expect(try await log.rows("value") == 3)
                _ = try await log.append([Self.value("5", "x")])
                #expect(try await values(of: log) == ["4=x", "2=y", "5=x"])
                try await trim(log)
                #expect(try await log.rows("value") == 3)
                await log.close()
                log = make()
                _ = try await log.open()
                #expect(try await values(of: log) == ["4=x", "2=y", "5=x"])
                await log.close()
            }
        }
    }

    // MARK: Topics

    @Test(
        "Ended topics and writers are there after a restart, when history has none of their events",
        arguments: [true, false])
    func ended(isClosed: Bool) async throws {
        try await TemporaryFolder.with { folder in
            let make = { folder.log("hub.db", retention: Retention(events: 2)) }
            var log = make()
            _ = try await log.open()
            var written = Event(topic: "job", data: "")
            written.writer = TopicWriter("b c", epoch: 3)
            var older = written
            older.writer = TopicWriter("a", epoch: 2)
            let end = try await log.append([Event(topic: "chat", data: "hi"), .end(of: "chat"), written])[1]
            try await trim(log)
            await log.close(properly: isClosed)
            log = make()
            _ = try await log.open()
            #expect(await refusal(of: [Event(topic: "chat", data: "late")], in: log) == .topicEnded)
            #expect(await refusal(of: [Event(topic: "x", alternates: ["chat"], data: "")], in: log) == .topicEnded)
            #expect(await refusal(of: [older], in: log) == .writerReplaced)
            #expect(try await log.append([.end(of: "chat")]) == [end])
            _ = try await log.append([written])
            #expect(try await log.present(through: .earliest).topics["chat"]?.end == end)
            await log.close()
        }
    }

    @Test("Beyond the bound of topics, the one that changed least recently is forgotten, also in the file")
    func topicBound() async throws {
        try await TemporaryFolder.with { folder in
            let make = { folder.log("hub.db", kept: Kept.Bounds(topics: 3)) }
            var log = make()
            _ = try await log.open()
            func names() async throws -> [String] {
                try await log.present(through: .earliest).topics.all.map(\.topic.name)
            }
            _ = try await log.append([Event.end(of: "1"), Event.end(of: "2")])
            var event = Event(topic: "3", data: "")
            event.writer = TopicWriter("w", epoch: 1)
            _ = try await log.append([event])
            event.writer = TopicWriter("w", epoch: 2)
            _ = try await log.append([Event.end(of: "4"), event, Event.end(of: "5")])
            #expect(try await names() == ["4", "3", "5"])
            #expect(try await log.rows("topic") == 3)
            try await log.append("1", "is open again")
            await log.close()
            log = make()
            _ = try await log.open()
            #expect(try await names() == ["4", "3", "5"])
            await log.close()
        }
    }

    @Test("Of publishes that are written together, none gets behind the end of its topic")
    func group() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            let history = try log.history
            let held = DispatchSemaphore(value: 0)
            history.file.pool.asyncWriteWithoutTransaction { _ in held.wait() }
            var publishers: [Task<[Position], any Error>] = []
            let publishes: [[Event]] = [
                [Event(topic: "chat", data: "1")], [.end(of: "chat")], [Event(topic: "chat", data: "late")],
                [Event(topic: "other", data: ""), Event(topic: "chat", data: "late")], [.end(of: "chat")],
                [Event(topic: "other", data: "2")],
            ]
            for (number, events) in publishes.enumerated() {
                publishers.append(Task { try await log.append(events) })
                try await until { log.state.withLock { $0.backlog.count } > number }
            }
            held.signal()
            var answers: [Result<[Position], any Error>] = []
            for publisher in publishers { answers.append(await publisher.result) }
            let codes = answers.map { answer -> MartletError.Code? in
                guard case .failure(let error) = answer else { return nil }
                return (error as? MartletError)?.code
            }
            #expect(codes == [nil, nil, .topicEnded, .topicEnded, nil, nil])
            #expect(try answers[1].get() == answers[4].get())
            #expect(try await log.texts() == ["1", "", "2"])
            await log.close()
        }
    }

    @Test("A topic whose end could not be written is open, and the end is accepted later")
    func failed() async throws {
        try await TemporaryFolder.with { folder in
            var log = folder.log("hub.db")
            _ = try await log.open()
            try await log.append("chat", "1")
            _ = try await log.append([Self.value("a", "1")])
            let pages = try await log.history.file.pool.read { try Int.fetchOne($0, sql: "PRAGMA page_count") ?? 0 }
            try await log.run("PRAGMA max_page_count = \(pages + 2)")
            let large = String(repeating: "x", count: 100_000)
            let ending = [Event(topic: "chat", data: large), .end(of: "chat"), Self.value("a", "2")]
            for _ in 0..<2 { #expect(await refusal(of: ending, in: log) == .storageFull) }
            #expect(try await log.present(through: .earliest).topics.isEmpty)
            #expect(try await values(of: log) == ["a=1"])
            try await log.append("chat", "2")
            try await log.run("PRAGMA max_page_count = 1000000")
            _ = try await log.append(ending)
            #expect(await refusal(of: [Event(topic: "chat", data: "late")], in: log) == .topicEnded)
            #expect(try await values(of: log) == ["a=2"])
            await log.close()
            log = folder.log("hub.db")
            _ = try await log.open()
            #expect(try await log.texts() == ["1", "1", "2", large, "", "2"])
            #expect(await refusal(of: [Event(topic: "chat", data: "late")], in: log) == .topicEnded)
            await log.close()
        }
    }

    @Test("Events that another log has accepted are not refused behind an end")
    func embedded() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            _ = try await log.append([.end(of: "chat")])
            let publishes: [(events: [Event], key: String)] = [
                ([Event(topic: "chat", data: "raced")], "a"), ([.end(of: "chat")], "b"),
            ]
            let offsets = try await withCheckedThrowingContinuation {
                (done: CheckedContinuation<[UInt64], any Error>) in
                let found = Found()
                log.append(inOrder: publishes) { number, first in
                    found.add(first)
                    if number == 1 { done.resume(with: Result { try found.all() }) }
                }
            }
            #expect(offsets == [2, 3])
            #expect(try await log.texts() == ["", "raced", ""])
            #expect(try await log.present(through: .earliest).topics["chat"]?.end == log.position(at: 1))
            await log.close()
        }
    }

    @Test("Values of a topic that has expired or was purged are not present")
    func gone() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            try await Hub(log: log, logger: quiet).whileRunning { hub in
                try await hub.publish(Self.value("a", "1", of: "purged"))
                try await hub.publish(Self.value("a", "1", of: "kept"))
                try await hub.purge("purged")
                try await hub.publish(Self.value("b", "2", of: "purged"))
                #expect(try await values(of: log) == ["a=1", "b=2"])
            }
            _ = try await log.open()
            #expect(try await values(of: log) == ["a=1", "b=2"])
            var short = Self.value("c", "3", of: "short")
            short.topicExpires = WallTime.now + .milliseconds(-1)
            _ = try await log.append([short])
            #expect(try await values(of: log) == ["a=1", "b=2"])
            await log.close()
        }
    }

    // MARK: The file

    @Test(
        "A row of a topic or of a value that has changed is damage",
        arguments: [
            "UPDATE topic SET ended = ended + 1", "UPDATE topic SET name = 'other'", "UPDATE topic SET writer = '9 w'",
            "UPDATE topic SET expires = 4", "UPDATE topic SET gone = 1", "UPDATE topic SET stamp = stamp + 7",
            "UPDATE value SET data = 'other'", "UPDATE value SET key = 'other'", "UPDATE value SET offset = 1",
            "UPDATE value SET life = 'end 1'", "UPDATE value SET life = NULL", "UPDATE event SET life = 'end 1'",
        ])
    func damage(sql: String) async throws {
        try await TemporaryFolder.with { folder in
            let make = { folder.log("hub.db", retention: Retention(events: 2)) }
            let log = make()
            _ = try await log.open()
            try await log.append("busy", "0")
            var event = Self.value("a", "1")
            event.expires = WallTime(milliseconds: 4_000_000_000_000)
            event.writer = TopicWriter("w", epoch: 1)
            _ = try await log.append([event, .end(of: "prices")])
            try await trim(log)
            await log.close()
            let bytes = try folder.bytes("hub.db")
            let queue = try DatabaseQueue(path: folder.path("hub.db"))
            try await queue.write { database in
                try database.execute(sql: sql)
                #expect(database.changesCount > 0)
            }
            try queue.close()
            let error = await #expect(throws: SQLiteLogError.self) { try await make().open() }
            #expect(error?.code == .damaged)
            try folder.write(bytes, to: "hub.db")
            let again = make()
            _ = try await again.open()
            #expect(try await values(of: again) == ["a=1"])
            await again.close()
        }
    }

    @Test("A value that is damaged while the log is open is left out, and the log has a fault")
    func runningDamage() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db", retention: Retention(events: 2))
            _ = try await log.open()
            _ = try await log.append([Self.value("a", "1"), Self.value("b", "2")])
            try await trim(log)
            try await log.run("UPDATE value SET data = 'x' WHERE key = 'a'")
            #expect(try await values(of: log) == ["b=2"])
            #expect(log.fault != nil)
            await log.close()
        }
    }

    @Test("A closed file with any changed byte has the right topics and values, or is refused")
    func flippedByte() async throws {
        var bytes: [UInt8] = []
        var expected: Present?
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db", retention: Retention(events: 2))
            _ = try await log.open()
            for number in 0..<6 {
                guard let topic = try? Topic("chat/\(number)") else { continue }
                _ = try await log.append([Self.value("\(number)", "value", of: topic), .end(of: topic)])
            }
            try await trim(log)
            expected = try await log.present(through: .earliest)
            await log.close()
            bytes = try folder.bytes("hub.db")
        }
        var generator = SeededGenerator(seed: 1)
        var (refused, opened) = (0, 0)
        for place in stride(from: 0, to: bytes.count, by: 89) {
            var damaged = bytes
            let place = min(bytes.count - 1, place + Int.random(in: 0..<89, using: &generator))
            damaged[place] ^= UInt8.random(in: 1...255, using: &generator)
            try await TemporaryFolder.with { folder in
                try folder.write(damaged, to: "hub.db")
                let log = folder.log("hub.db", retention: Retention(events: 2))
                do { _ = try await log.open() } catch {
                    #expect(error is SQLiteLogError)
                    refused += 1
                    return
                }
                opened += 1
                if let present = try? await log.present(through: .earliest), log.fault == nil {
                    #expect(present.values == expected?.values, "byte \(place)")
                    #expect(present.topics.all == expected?.topics.all, "byte \(place)")
                }
                await log.abandon()
            }
        }
        #expect(refused > 0 && opened > 0)
    }

    @Test("A file of version 1 opens with its events, and has topics and values from then on")
    func version1() async throws {
        try await TemporaryFolder.with { folder in
            try await Self.makeVersion1(folder.path("hub.db"))
            var log = folder.log("hub.db")
            let end = try await log.open()
            #expect(end.text == "arw0svap-2")
            #expect(try await log.texts() == ["first", "third"])
            #expect(try await values(of: log) == ["k=third"])
            _ = try await log.append([.end(of: "chat")])
            await log.abandon()
            log = folder.log("hub.db")
            _ = try await log.open()
            #expect(try await log.texts() == ["first", "third", ""])
            #expect(await refusal(of: [Event(topic: "chat", data: "")], in: log) == .topicEnded)
            // Programs that know version 1 only look at the header.
            #expect(try folder.bytes("hub.db")[60..<64] == [0, 0, 0, 2])
            await log.close()
        }
    }

    @Test("A damaged file of version 1 is refused and stays of version 1")
    func damagedVersion1() async throws {
        try await TemporaryFolder.with { folder in
            try await Self.makeVersion1(folder.path("hub.db"), data: "other")
            let error = await #expect(throws: SQLiteLogError.self) { try await folder.log("hub.db").open() }
            #expect(error?.code == .damaged)
            // It was not brought up to date, so the program before can still open it.
            #expect(try folder.bytes("hub.db")[60..<64] == [0, 0, 0, 1])
        }
    }

    /// A file as version 1 has written it.
    private static func makeVersion1(_ path: String, data: String = "third") async throws {
        let queue = try DatabaseQueue(path: path)
        try await queue.writeWithoutTransaction { database in
            try database.execute(
                sql: """
                    PRAGMA auto_vacuum = INCREMENTAL;
                    PRAGMA journal_mode = WAL;
                    PRAGMA application_id = 1299346540;
                    PRAGMA user_version = 1;
                    CREATE TABLE event (
                        offset INTEGER PRIMARY KEY,
                        time INTEGER NOT NULL,
                        topic TEXT NOT NULL,
                        alternates TEXT,
                        data TEXT NOT NULL,
                        id TEXT,
                        repeats_id INTEGER NOT NULL,
                        type TEXT,
                        retry INTEGER,
                        key TEXT,
                        private INTEGER NOT NULL,
                        publish_key TEXT,
                        publish_count INTEGER,
                        checksum INTEGER NOT NULL
                    ) STRICT;
                    CREATE TABLE removal (
                        last INTEGER PRIMARY KEY,
                        time INTEGER NOT NULL,
                        topics TEXT NOT NULL,
                        checksum INTEGER NOT NULL
                    ) STRICT;
                    CREATE TABLE segment (
                        number INTEGER PRIMARY KEY,
                        epoch TEXT NOT NULL,
                        first INTEGER NOT NULL,
                        checksum INTEGER NOT NULL
                    ) STRICT;
                    CREATE TABLE state (clean INTEGER NOT NULL, last INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT;
                    INSERT INTO event VALUES
                        (1, 1795998651057, 'news', NULL, 'first', 'i1', 0, 't', 100, 'k', 0, NULL, NULL,
                         8825214150809395062),
                        (2, 1795998651115, 'news', NULL, '\(data)', NULL, 0, NULL, NULL, 'k', 0, NULL, NULL,
                         1941417092558462415);
                    INSERT INTO segment VALUES (1, 'arw0svap', 1, 8669363188991484422);
                    INSERT INTO state VALUES (1, 2, 4585335144595544048);
                    """)
        }
        try queue.close()
    }
}

/// The offsets of publishes, in their order.
private final class Found: @unchecked Sendable {
    private var results: [Result<UInt64, any Error>] = []

    func add(_ result: Result<UInt64, any Error>) { results.append(result) }
    func all() throws -> [UInt64] { try results.map { try $0.get() } }
}

extension SQLiteLog {
    fileprivate func rows(_ table: String) async throws -> Int {
        try await history.file.pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM \(table)") ?? 0 }
    }
}
