// SPDX-License-Identifier: Apache-2.0

import Dispatch
import GRDB
import Martlet
import Synchronization
import TestSupport
import Testing

@testable import MartletSQLite

@Suite("Writing a log in a file", .timeLimit(.minutes(10)))
struct WritingTests {
    private func with(
        queue: PublishQueue = PublishQueue(), _ body: (SQLiteLog, TemporaryFolder) async throws -> Void
    ) async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db", durability: .os, queue: queue)
            _ = try await log.open()
            try await body(log, folder)
            await log.close()
        }
    }

    @Test("Any text and every field of an event is read as it was written, also NUL")
    func texts() async throws {
        try await with { log, _ in
            let event = Event(
                topic: "a topic", alternates: ["b", "c d"], data: "\0 a \0 \u{1F426} \r\n e\u{301}\0", id: "i",
                type: "t",
                retry: 7, key: "k", isPrivate: true)
            let end = try await log.append([event, Event(topic: "b", data: "")])[1]
            let records = try await log.read(nil, after: .earliest, through: end, limit: SliceLimit()).records
            #expect(records.map(\.event) == [event, Event(topic: "b", data: "")])
            #expect(records.first?.event.data.utf8.elementsEqual(event.data.utf8) == true)
        }
    }

    @Test("Publishes that wait are written together, and a refused one does not affect the others")
    func group() async throws {
        try await with { log, _ in
            let history = try log.history
            _ = try await log.append([Event(topic: "news", data: "first")], once: "key")
            let held = DispatchSemaphore(value: 0)
            history.file.pool.asyncWriteWithoutTransaction { _ in held.wait() }
            let publishers = (0..<50).map { number in
                Task {
                    let event = Event(topic: "news", data: "\(number)")
                    return try await log.append([event], once: number % 10 == 9 ? "key" : nil)
                }
            }
            try await until { log.state.withLock { $0.backlog.count } >= 50 }
            held.signal()
            var positions: Set<Position> = []
            for (number, publisher) in publishers.enumerated() {
                switch await publisher.result {
                case .success(let position):
                    #expect(number % 10 != 9)
                    positions.formUnion(position)
                case .failure(let error):
                    #expect(number % 10 == 9)
                    #expect((error as? MartletError)?.code == .keyReused)
                }
            }
            #expect(positions.count == 45)
            #expect(try await log.texts().count == 46)
        }
    }

    @Test("A group is bounded in events and bytes, and a publish is never split")
    func bounds() async throws {
        func publish(_ events: Int, bytes: Int) async throws -> [Int] {
            var waiting = PublishBacklog(groupEvents: SQLiteLog.groupEvents, groupBytes: SQLiteLog.groupBytes)
            var groups: [Int] = []
            let positions: [Position] = try await withCheckedThrowingContinuation { continuation in
                for _ in 0..<5 {
                    let events = Array(repeating: Event(topic: "news", data: ""), count: events)
                    waiting.reserve(bytes)
                    waiting.append(
                        PendingPublish(events, once: nil, byteCount: bytes, answer: { continuation.resume(with: $0) }))
                }
                while waiting.count > 0 { groups.append(waiting.takeGroup().group.count) }
                continuation.resume(returning: [])
            }
            #expect(positions.isEmpty)
            #expect(waiting.byteCount == 0)
            return groups
        }
        #expect(try await publish(1, bytes: 100) == [5])
        #expect(try await publish(500, bytes: 100) == [2, 2, 1])
        #expect(try await publish(501, bytes: 100) == [1, 1, 1, 1, 1])
        #expect(try await publish(2000, bytes: 100) == [1, 1, 1, 1, 1])
        #expect(try await publish(1, bytes: 2 << 20) == [2, 2, 1])
        #expect(try await publish(1, bytes: (2 << 20) + 1) == [1, 1, 1, 1, 1])
    }

    @Test("Publishing fails while the disk is full, and works again when it is not")
    func full() async throws {
        try await with { log, folder in
            try await log.append("news", "1")
            let pages = try await log.history.file.pool.read { try Int.fetchOne($0, sql: "PRAGMA page_count") ?? 0 }
            try await log.run("PRAGMA max_page_count = \(pages + 2)")
            let large = Event(topic: "news", data: String(repeating: "x", count: 100_000))
            for _ in 0..<3 {
                let error = await #expect(throws: MartletError.self) { try await log.append([large], once: "large") }
                #expect(error?.code == .storageFull)
            }
            try await log.append("news", "2")
            #expect(try await log.texts() == ["1", "2"])
            try await log.run("PRAGMA max_page_count = 1000000")
            _ = try await log.append([large], once: "large")
            #expect(try await log.texts() == ["1", "2", large.data])
        }
    }

    @Test("The values of durability are those of the settings")
    func durability() {
        #expect(Durability.allCases.map(\.rawValue) == ["commit", "os"])
    }

    @Test("Publishers wait when the tail is behind by the backlog, and continue when it has read")
    func backlog() async throws {
        let queue = PublishQueue(
            backlogBytes: 3 * Event(topic: "news", data: "1").byteCount, patience: .milliseconds(1))
        try await with(queue: queue) { log, _ in
            var end = try await log.open()
            try await log.append("news", "1", "2", "3")
            let error = await #expect(throws: MartletError.self) { try await log.append("news", "4") }
            #expect(error?.code == .overloaded)
            end = try await log.tail(after: end, limit: SliceLimit(events: 1)).end
            try await log.append("news", "4")
            #expect(try await log.tail(after: end, limit: SliceLimit()).records.map(\.event.data) == ["2", "3", "4"])
        }
    }
}
