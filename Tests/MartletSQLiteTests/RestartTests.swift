// SPDX-License-Identifier: Apache-2.0

import Martlet
import TestSupport
import Testing

@testable import MartletSQLite

@Suite("A log in a file that is opened again", .timeLimit(.minutes(10)))
struct RestartTests {
    @Test("After a proper close, all events are there and the epoch continues")
    func closed() async throws {
        try await TemporaryFolder.with { folder in
            var log = folder.log("hub.db")
            _ = try await log.open()
            let before = try await log.append("news", "1", "2", "3")
            await log.close()
            log = folder.log("hub.db")
            #expect(try await log.open() == before[2])
            let after = try await log.append("news", "4")[0]
            #expect(try await log.texts(after: before[0]) == ["2", "3", "4"])
            #expect(after.text.prefix { $0 != "-" } == before[0].text.prefix { $0 != "-" })
            await log.close()
        }
    }

    @Test("After a crash, all accepted events are there, a new epoch begins, and older ids are known")
    func crashed() async throws {
        try await TemporaryFolder.with { folder in
            var positions: [Position] = []
            for number in 1...5 {
                let log = folder.log("hub.db", durability: number % 2 == 0 ? .os : .commit)
                let end = try await log.open()
                #expect(positions.last.map { $0 == end } ?? true)
                positions += try await log.append("news", "\(number)")
                for (index, position) in positions.enumerated() {
                    let resolution = try await log.resolve(position.text, for: .of("news"))
                    #expect(resolution == Resolution(position: position))
                    #expect(try await log.texts(after: position) == (index + 1..<number).map { "\($0 + 1)" })
                    #expect(log.covers(positions[number - 1], position))
                    #expect(log.covers(position, positions[number - 1]) == (index == number - 1))
                }
                await log.abandon()
            }
            #expect(Set(positions.map { $0.text.prefix { $0 != "-" } }).count == 5)
        }
    }

    @Test("A client that saw a lost event gets a gap, and its id is not taken for the new event with its number")
    func rolledBack() async throws {
        try await TemporaryFolder.with { folder in
            var log = folder.log("hub.db")
            _ = try await log.open()
            let seen = try await log.append("news", "1", "2", "3")
            // As where the power fails before the system has written what it was given.
            try await log.run("DELETE FROM event WHERE offset = 3")
            await log.abandon()
            log = folder.log("hub.db")
            #expect(try await log.open() == seen[1])
            try await log.append("news", "other")
            let lost = try await log.resolve(seen[2].text, for: .of("news"))
            #expect(lost.gap == .rolledBack)
            #expect(try await log.texts(after: lost.position) == ["1", "2", "other"])
            #expect(try await log.resolve(seen[1].text, for: .of("news")) == Resolution(position: seen[1]))
            #expect(try await log.texts(after: seen[1]) == ["other"])
            await log.close()
        }
    }

    @Test("An idempotency key is known after a restart, with its answer", arguments: [true, false])
    func keys(isClosed: Bool) async throws {
        try await TemporaryFolder.with { folder in
            let batch = [Event(topic: "news", data: "1"), Event(topic: "other", data: "2", id: "two")]
            var log = folder.log("hub.db")
            _ = try await log.open()
            let answer = try await log.append(batch, once: "key")
            await log.close(properly: isClosed)
            log = folder.log("hub.db")
            _ = try await log.open()
            #expect(try await log.append(batch, once: "key") == answer)
            let error = await #expect(throws: MartletError.self) { try await log.append([batch[1]], once: "key") }
            #expect(error?.code == .keyReused)
            #expect(log.size.events == 2)
            await log.close()
        }
    }

    @Test("An id of which an earlier event was removed is still a gap after a restart")
    func repeatedID() async throws {
        try await TemporaryFolder.with { folder in
            let event = Event(topic: "news", data: "again", id: "again")
            var log = folder.log("hub.db", retention: Retention(events: 2))
            _ = try await log.open()
            _ = try await log.append([event])
            _ = try await log.append([event])
            try await log.append("news", "3")
            try await log.follow()
            await log.close()
            log = folder.log("hub.db", retention: Retention(events: 2))
            _ = try await log.open()
            #expect(try await log.texts() == ["again", "3"])
            #expect(try await log.resolve("again", for: .of("news")).gap == .trimmed)
            await log.close()
        }
    }

    @Test("Removed events are remembered by topic, so that there are no false gaps", arguments: [true, false])
    func trimmedTopics(isClosed: Bool) async throws {
        try await TemporaryFolder.with { folder in
            var log = folder.log("hub.db", retention: Retention(events: 2))
            let start = try await log.open()
            let quiet = try await log.append("quiet", "1")[0]
            let secret = try await log.append([Event(topic: "news", data: "secret", isPrivate: true)])[0]
            // More removals than are kept one by one.
            for number in 0..<200 {
                try await log.append("busy", "\(number)")
                try await log.follow()
            }
            await log.close(properly: isClosed)
            log = folder.log("hub.db", retention: Retention(events: 2))
            let end = try await log.open()
            #expect(try await log.resolve(quiet.text, for: .of("quiet")) == Resolution(position: quiet))
            #expect(try await log.resolve(start.text, for: .of("quiet")).gap == .trimmed)
            #expect(try await log.resolve(quiet.text, for: .of("news")).gap == nil)
            #expect(try await log.resolve(quiet.text, for: .of("news", includesPrivate: true)).gap == .trimmed)
            #expect(try await log.resolve(secret.text, for: .of("news", includesPrivate: true)).gap == nil)
            #expect(try await log.resolve(secret.text, for: .of("busy")).gap == .trimmed)
            #expect(try await log.read(.of("quiet"), after: quiet, through: end, limit: SliceLimit()).gap == nil)
            #expect(try await log.texts() == ["198", "199"])
            await log.close()
        }
    }

    @Test("A bounded number of epochs is known; positions of older ones count as those of another log")
    func segments() throws {
        var segments = EpochSegments()
        let epochs = (0...EpochSegments.most).map { _ in Epoch() }
        for (number, epoch) in epochs.enumerated() { segments.append(epoch, from: UInt64(10 * number + 1)) }
        #expect(segments.count == EpochSegments.most)
        #expect(segments.find(epochs[0].position(5).text, last: 100_000) == nil)
        #expect(segments.find(epochs[1].position(15).text, last: 100_000) == .at(15))
        #expect(segments.find(epochs[1].position(20).text, last: 100_000) == .at(20))
        #expect(segments.find(epochs[1].position(21).text, last: 100_000) == .lost)
        #expect(segments.position(20) == epochs[1].position(20))
        #expect(segments.position(21) == epochs[2].position(21))
        #expect(segments.position(3) == epochs[1].position(3))
    }

    @Test("A cancelled task closes the log properly")
    func cancelled() async throws {
        try await TemporaryFolder.with { folder in
            var log = folder.log("hub.db")
            _ = try await log.open()
            let before = try await log.append("news", "1")[0]
            let closing = Task { [log] in
                withUnsafeCurrentTask { $0?.cancel() }
                await log.close()
            }
            await closing.value
            log = folder.log("hub.db")
            _ = try await log.open()
            let after = try await log.append("news", "2")[0]
            #expect(after.text.prefix { $0 != "-" } == before.text.prefix { $0 != "-" })
            await log.close()
        }
    }

    @Test("A closed log refuses calls, and closing a log that was never opened does nothing")
    func notOpen() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            await log.close()
            for _ in 0..<2 {
                let error = await #expect(throws: MartletError.self) { try await log.append("news", "1") }
                #expect(error?.code == .notRunning)
                _ = try await log.open()
                let tail = Task { try await log.tail(after: .earliest, limit: SliceLimit()) }
                await log.close()
                await #expect(throws: MartletError.self) { try await tail.value }
            }
        }
    }
}
