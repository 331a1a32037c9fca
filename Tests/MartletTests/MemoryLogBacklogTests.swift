// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import TestSupport
import Testing

@Suite("Publishers that wait for the log in memory", .timeLimit(.minutes(10)))
struct MemoryLogBacklogTests {
    private let log = MemoryLog(clock: ManualClock(), queue: .backlog(of: 3))

    @Test("Publishers wait once the tail is behind by the backlog")
    func edge() async throws {
        let start = try await log.open()
        try await log.append("news", "1", "2")
        #expect(await !log.holdsBackPublishers())
        #expect(await log.holdsBackPublishers())
        #expect(log.size.events == 3)
        _ = try await log.tail(after: start, limit: SliceLimit(events: 1))
        #expect(await !log.holdsBackPublishers())
        #expect(await log.holdsBackPublishers())
    }

    @Test("A publisher fails after the patience, and not before")
    func patience() async throws {
        let clock = ManualClock()
        let log = MemoryLog(clock: clock, queue: .backlog(of: 1))
        _ = try await log.open()
        try await log.append("news", "1")
        let publisher = Task { try await log.append("news", "2") }
        try await clock.waitForSleepers(1)
        clock.advance(by: .milliseconds(1999))
        #expect(clock.sleeperCount == 1)
        clock.advance(by: .milliseconds(1))
        let error = await #expect(throws: MartletError.self) { try await publisher.value }
        #expect(error?.code == .overloaded)
        #expect(log.size.events == 1)
    }

    @Test("A bounded number of publishers wait; the next fails at once, and the others continue when there is room")
    func publishers() async throws {
        let clock = ManualClock()
        var queue = PublishQueue.backlog(of: 1)
        queue.publishers = 2
        let log = MemoryLog(clock: clock, queue: queue)
        let start = try await log.open()
        try await log.append("news", "1")
        let publishers = (2...3).map { number in Task { try await log.append("news", "\(number)") } }
        try await clock.waitForSleepers(2)
        let error = await #expect(throws: MartletError.self) { try await log.append("news", "4") }
        #expect(error?.code == .overloaded)
        var end = try await log.tail(after: start, limit: SliceLimit()).end
        end = try await log.tail(after: end, limit: SliceLimit()).end
        _ = try await log.tail(after: end, limit: SliceLimit())
        for publisher in publishers { _ = try await publisher.value }
        #expect(log.size.events == 3)
    }

    @Test("Publishers continue when the tail reads, in whole batches")
    func goOn() async throws {
        var end = try await log.open()
        try await log.append("news", "1", "2", "3")
        let publisher = Task { [log] in
            try await log.append([Event(topic: "news", data: "4"), Event(topic: "news", data: "5")])
        }
        var texts: [String] = []
        while texts.count < 5 {
            let slice = try await log.tail(after: end, limit: SliceLimit(events: 1))
            texts += slice.records.map(\.event.data)
            end = slice.end
        }
        #expect(texts == ["1", "2", "3", "4", "5"])
        #expect(try await publisher.value.last == end)
    }

    @Test("A batch that exceeds the backlog is accepted whole")
    func largeBatch() async throws {
        _ = try await log.open()
        try await log.append("news", "1", "2")
        let batch = (3...9).map { Event(topic: "news", data: "\($0)") }
        #expect(try await log.append(batch).count == 7)
        #expect(log.size.events == 9)
        #expect(await log.holdsBackPublishers())
    }

    @Test("Publishers do not wait for a log that was not opened")
    func notOpened() async throws {
        try await log.append("news", "1", "2", "3", "4", "5")
        #expect(log.size.events == 5)
        _ = try await log.open()
        #expect(await !log.holdsBackPublishers(), "what was there before is not behind")
    }

    @Test("A publisher that is cancelled while it waits publishes nothing")
    func cancelled() async throws {
        var end = try await log.open()
        try await log.append("news", "1", "2", "3")
        for yields in 0..<20 {
            let publisher = Task { [log] in try await log.append([Event(topic: "news", data: "never")]) }
            for _ in 0..<yields { await Task.yield() }
            publisher.cancel()
            await #expect(throws: CancellationError.self) { try await publisher.value }
        }
        end = try await log.tail(after: end, limit: SliceLimit()).end
        try await log.append("news", "4")
        let slice = try await log.tail(after: end, limit: SliceLimit())
        #expect(slice.records.map(\.event.data) == ["4"])
    }

    @Test("Publishers do not wait once the tail has reached the end behind a gap")
    func gap() async throws {
        let log = MemoryLog(retention: Retention(events: 1), clock: ManualClock(), queue: .backlog(of: 3))
        let positions = try await log.append("news", "1", "2", "3", "4", "5")
        let slice = try await log.tail(after: positions[0], limit: SliceLimit())
        #expect(slice.end == positions[4])
        #expect(await !log.holdsBackPublishers())
    }
}
