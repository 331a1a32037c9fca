// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport
import TestSupport
import Testing

@testable import MartletSQLite

@Suite("The ages of events when the wall clock jumps", .timeLimit(.minutes(10)))
struct ClockTests {
    private static let day: Int64 = 86_400

    private let clocks = TestClocks()
    private let retention = Retention(age: .seconds(7 * day))

    private func open(_ folder: TemporaryFolder) async throws -> SQLiteLog {
        let log = folder.log("hub.db", durability: .os, retention: retention, clocks: clocks.machine)
        _ = try await log.open()
        return log
    }

    private func since(_ seconds: Int64, in log: SQLiteLog) async throws -> [String] {
        try await log.texts(after: log.resolve(since: .seconds(seconds), for: .of("news")).position)
    }

    @Test(
        "A wall clock that is wrong for two seconds removes no event and changes no age",
        arguments: [-400, -1, 1, 6, 30, 400, 210_000])
    func jump(days: Int64) async throws {
        try await TemporaryFolder.with { folder in
            let log = try await open(folder)
            try await log.append("news", "old")
            clocks.advance(by: 2 * Self.day)
            try await log.append("news", "before")
            clocks.advance(by: 10)
            clocks.step(by: days * Self.day)
            clocks.advance(by: 1)
            try await log.settle()
            try await log.append("news", "meanwhile")
            clocks.advance(by: 1)
            try await log.follow()
            #expect(try await log.texts() == ["old", "before", "meanwhile"])
            #expect(try await since(3600, in: log) == ["before", "meanwhile"])
            clocks.step(by: -days * Self.day)
            clocks.advance(by: 10)
            try await log.append("news", "after")
            try await log.follow()
            #expect(try await since(11, in: log).suffix(2) == ["meanwhile", "after"])
            #expect(try await since(5, in: log) == ["after"])
            clocks.advance(by: 5 * Self.day - 30)
            try await log.settle()
            #expect(try await log.texts() == ["old", "before", "meanwhile", "after"])
            clocks.advance(by: 60)
            try await log.settle()
            #expect(try await log.texts() == ["before", "meanwhile", "after"])
            clocks.advance(by: 2 * Self.day)
            try await log.settle()
            #expect(try await log.texts() == [])
            await log.close()
        }
    }

    @Test("A wall clock that is wrong at the start removes no event", arguments: [-20_000, -30, 30, 210_000])
    func wrongAtStart(days: Int64) async throws {
        try await TemporaryFolder.with { folder in
            var log = try await open(folder)
            try await log.append("news", "1")
            clocks.advance(by: 4 * Self.day)
            try await log.append("news", "2")
            for life in 0..<3 {
                await log.close(properly: life != 1)
                clocks.step(by: (life % 2 == 0 ? 1 : -1) * days * Self.day)
                log = try await open(folder)
                try await log.settle()
                #expect(try await log.texts().prefix(2) == ["1", "2"])
                try await log.append("news", "of life \(life)")
                clocks.advance(by: 1)
                #expect(try await since(1, in: log).last == "of life \(life)")
            }
            clocks.advance(by: 8 * Self.day)
            try await log.follow()
            #expect(try await log.texts() == [])
            await log.close()
        }
    }

    @Test("A log created with a wrong wall clock keeps its events for the usual time", arguments: [-20_000, 210_000])
    func wrongFromTheBeginning(days: Int64) async throws {
        try await TemporaryFolder.with { folder in
            clocks.step(by: days * Self.day)
            var log = try await open(folder)
            try await log.append("news", "1")
            clocks.step(by: -days * Self.day)
            clocks.advance(by: 3 * Self.day)
            try await log.append("news", "2")
            await log.close()
            log = try await open(folder)
            clocks.advance(by: 3 * Self.day)
            try await log.follow()
            #expect(try await log.texts() == ["1", "2"])
            clocks.advance(by: 2 * Self.day)
            try await log.settle()
            #expect(try await log.texts() == ["2"])
            clocks.advance(by: 3 * Self.day)
            try await log.settle()
            #expect(try await log.texts() == [])
            await log.close()
        }
    }

    @Test("Time counts while the hub is stopped")
    func stopped() async throws {
        try await TemporaryFolder.with { folder in
            var log = try await open(folder)
            try await log.append("news", "1")
            await log.close()
            clocks.advance(by: 12 * 3600)
            log = try await open(folder)
            try await log.append("news", "2")
            #expect(try await since(11 * 3600, in: log) == ["2"])
            #expect(try await since(13 * 3600, in: log) == ["1", "2"])
            clocks.advance(by: 6 * Self.day + 12 * 3600)
            try await log.follow()
            #expect(try await log.texts() == ["1", "2"])
            clocks.advance(by: 60)
            try await log.settle()
            #expect(try await log.texts() == ["2"])
            await log.close()
        }
    }
}

@Suite("The clock of a log in a file")
struct EventClockTests {
    private let day = Duration.seconds(86_400)
    private let age = Duration.seconds(7 * 86_400)

    @Test("It follows a wall clock that is ahead by a quarter of the time that passes")
    func follows() {
        var clock = EventClock(wall: .seconds(1000), running: .zero, newest: nil, age: age)
        clock.advance(wall: .seconds(1000) + day, running: .zero)
        #expect(clock.time == .seconds(1000))
        clock.advance(wall: .seconds(1100) + day, running: .seconds(100))
        #expect(clock.time == .seconds(1125))
        clock.advance(wall: .seconds(1000) + day * 6, running: day * 5)
        #expect(clock.time == .seconds(1000) + day * 6)
        clock.advance(wall: .seconds(1000) + day * 7, running: day * 6)
        #expect(clock.time == .seconds(1000) + day * 7)
    }

    @Test("It runs on when the wall clock is behind")
    func behind() {
        var clock = EventClock(wall: .seconds(1000), running: .zero, newest: nil, age: age)
        clock.advance(wall: .zero, running: .seconds(10))
        #expect(clock.time == .seconds(1010))
        clock.advance(wall: .seconds(-1000), running: .seconds(5))
        #expect(clock.time == .seconds(1010))
        clock.advance(wall: .seconds(-1000), running: .seconds(20))
        #expect(clock.time == .seconds(1020))
    }

    @Test("While it catches up, an age includes every event that is not older")
    func since() {
        var clock = EventClock(wall: .seconds(1000), running: .zero, newest: nil, age: age)
        clock.advance(wall: .seconds(1000) + day, running: .zero)
        let accepted = clock.time
        clock.advance(wall: .seconds(1400) + day, running: .seconds(400))
        #expect(clock.time(since: .seconds(400)) <= accepted)
        #expect(clock.time(since: .seconds(200)) > accepted)
        #expect(clock.time(since: .seconds(-1)) == clock.time + .seconds(1))
    }

    @Test("It follows a difference of a year and no greater one")
    func mostGain() {
        for (seconds, gain) in [(0, 10), (1, 0)] as [(Int64, Int64)] {
            var clock = EventClock(wall: .seconds(1), running: .zero, newest: nil, age: age)
            clock.advance(wall: day * 366 + .seconds(41 + seconds), running: .seconds(40))
            #expect(clock.time == .seconds(41 + gain))
        }
    }

    @Test("After a restart, an eighth of the retention age counts at once")
    func restart() {
        let newest = Duration.seconds(1_700_000_000)
        func time(_ ahead: Duration) -> Duration {
            EventClock(wall: newest + ahead, running: .seconds(5), newest: newest, age: .seconds(800)).time - newest
        }
        #expect(time(.seconds(-1)) == .zero)
        #expect(time(.zero) == .zero)
        #expect(time(.seconds(99)) == .seconds(99))
        #expect(time(.seconds(101)) == .seconds(100))
        #expect(time(day * 366) == .seconds(100))
        #expect(time(day * 367) == .zero)
    }

    @Test("Extreme clocks do not trap")
    func extremes() {
        let far = Duration.seconds(Int64.max)
        for newest in [nil, .milliseconds(Int64.max), .milliseconds(Int64.min), .zero] as [Duration?] {
            for wall in [far, .zero - far, .zero] {
                var clock = EventClock(wall: wall, running: .zero, newest: newest, age: far)
                clock.advance(wall: .zero - wall, running: far)
                clock.advance(wall: far, running: .zero - far)
                #expect(abs(clock.time.wholeMilliseconds) <= 1 << 53)
                #expect(abs(clock.time(since: far).wholeMilliseconds) <= 1 << 53)
            }
        }
    }
}
