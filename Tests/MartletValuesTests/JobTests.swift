// SPDX-License-Identifier: Apache-2.0

import Foundation
import Martlet
import MartletTesting
import MartletValues
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct JobTests {
    private struct Internal: Error, CustomStringConvertible {
        var description: String { "password is 1234" }
    }

    private let clock = ManualClock()

    private var reporting: JobReporting { JobReporting(clock: clock) }

    private func reports(of name: String = "import-7", on hub: Hub) async throws -> [JobReport] {
        try await hub.watchJob(name).first(.max)
    }

    @Test("A job is reported from its beginning to its end")
    func jobIsReported() async throws {
        try await quickHub().whileRunning { hub in
            let before = Date.now.addingTimeInterval(-1)
            let result = try await hub.job("import-7") { job in
                #expect(job.name == "import-7")
                var watch = hub.watchJob("import-7").makeAsyncIterator()
                #expect(try await watch.next()?.state == .running)
                await job.progress(0.4, "Reading")
                let progress = try await watch.next()
                #expect(progress?.state == .progress && progress?.fraction == 0.4 && progress?.message == "Reading")
                return 7
            }
            #expect(result == 7)
            let reports = try await reports(on: hub)
            #expect(reports.map(\.state) == [.running, .progress, .succeeded])
            #expect(Set(reports.map(\.run)).count == 1)
            #expect(reports.map(\.fraction) == [nil, 0.4, 1] && reports[2].message == nil)
            #expect(reports.allSatisfy { ($0.started ?? .distantPast) >= before && $0.time >= before })
        }
    }

    @Test("A report is an event that a browser can read")
    func reportIsAnEvent() async throws {
        try await quickHub().whileRunning { hub in
            try await hub.subscribe(to: "jobs/import-7") { events in
                try await hub.job("import-7") { await $0.progress(0.5, "Half") }
                let event = try await events.first(2)[1]
                #expect(event.type == "job" && event.topic == "jobs/import-7")
                let members = try JSONSerialization.jsonObject(with: Data(event.data.utf8)) as? [String: Any]
                #expect(members?.keys.sorted() == ["fraction", "message", "run", "started", "state", "time"])
                #expect(members?["state"] as? String == "progress" && members?["fraction"] as? Double == 0.5)
            }
        }
    }

    @Test("Progress comes at a pace: the latest wins, and the last is not lost")
    func progressComesAtAPace() async throws {
        try await quickHub().whileRunning { hub in
            try await hub.job("import-7", reporting: reporting) { job in
                var watch = hub.watchJob("import-7").makeAsyncIterator()
                #expect(try await watch.next()?.state == .running)
                await job.progress(0.1)
                #expect(try await watch.next()?.fraction == 0.1)
                try await clock.waitForSleepers()
                await job.progress(0.2, "too fast")
                clock.advance(by: reporting.interval - .milliseconds(1))
                await job.progress(0.3, "latest")
                clock.advance(by: .milliseconds(1))
                #expect(try await watch.next()?.message == "latest")
                try await clock.waitForSleepers()
                await job.progress(0.8)
                await job.progress(0.9, "last")
            }
            let reports = try await reports(on: hub)
            #expect(reports.map(\.fraction) == [nil, 0.1, 0.3, 0.9, 1])
            #expect(reports.map(\.message) == [nil, nil, "latest", "last", nil])
            #expect(clock.sleeperCount == 0)
        }
    }

    @Test("Fractions and messages are kept within bounds")
    func fractionsAndMessagesAreKept() async throws {
        let reporting = JobReporting(interval: .zero, messageBytes: 5)
        try await quickHub().whileRunning { hub in
            await #expect(throws: JobFailure("éééé")) {
                try await hub.job("import-7", reporting: reporting) { job in
                    var watch = hub.watchJob("import-7").makeAsyncIterator()
                    #expect(try await watch.next()?.fraction == nil)
                    await job.progress(.nan)
                    #expect(try await watch.next()?.fraction == nil)
                    for (said, reported) in [(-1.0, 0.0), (0.25, 0.25), (.nan, 0.25), (.infinity, 1), (0.5, 0.5)] {
                        await job.progress(said, "12345678")
                        let report = try await watch.next()
                        #expect(report?.fraction == reported && report?.message == "12345")
                    }
                    throw JobFailure("éééé")
                }
            }
            let final = try await reports(on: hub).last
            #expect(final?.state == .failed && final?.message == "éé" && final?.fraction == 0.5)
        }
    }

    @Test("Of an error only what the job has chosen to say is told")
    func ofAnError() async throws {
        try await quickHub().whileRunning { hub in
            try await hub.subscribe(to: "jobs/import-7") { events in
                await #expect(throws: Internal.self) { try await hub.job("import-7") { _ in throw Internal() } }
                let told = try await events.first(2)
                #expect(told.map(\.data).joined().contains(#""state":"failed""#))
                #expect(told.allSatisfy { !$0.data.contains("1234") && !$0.data.contains("message") })
            }
            await #expect(throws: JobFailure.self) {
                try await hub.job("import-7") { _ in throw JobFailure("The file has no header.") }
            }
            #expect(try await reports(on: hub).last?.message == "The file has no header.")
        }
    }

    @Test("A job that is cancelled has failed")
    func jobThatIsCancelled() async throws {
        try await quickHub().whileRunning { hub in
            let (begun, beginning) = AsyncStream.makeStream(of: Void.self)
            let job = Task {
                try await hub.job("import-7") { job in
                    beginning.yield()
                    try await Task.sleep(for: .seconds(1000))
                }
            }
            for await _ in begun.prefix(1) {}
            job.cancel()
            await #expect(throws: CancellationError.self) { try await job.value }
            let reports = try await reports(on: hub)
            #expect(reports.map(\.state) == [.running, .failed])
            #expect(reports.last?.message == "cancelled")
        }
    }

    @Test("The work goes on while the hub refuses reports, and none is missing that matters")
    func workGoes() async throws {
        let log = ScriptedLog()
        log.refuse(3)
        try await Hub(log: log, logger: quiet).whileRunning { hub in
            let result = try await hub.job("import-7", reporting: reporting) { job in
                try await log.waitForRefusals(2)
                await job.progress(0.5, "Half")
                try await clock.waitForSleepers()
                clock.advance(by: reporting.interval)
                try await log.waitForRefusals(3)
                return 7
            }
            #expect(result == 7)
            let reports = try await reports(on: hub)
            #expect(reports.map(\.state) == [.running, .succeeded])
            #expect(reports[0].fraction == 0.5 && reports[0].message == "Half")
        }
    }

    @Test("The end is tried again until the hub takes it")
    func endIsTriedAgainUntil() async throws {
        let log = ScriptedLog()
        try await Hub(log: log, logger: quiet).whileRunning { hub in
            async let result = hub.job("import-7", reporting: reporting) { _ in
                log.refuse(.max)
                return 7
            }
            for refusals in 1...3 {
                try await log.waitForRefusals(refusals)
                try await clock.waitForSleepers(2)
                if refusals == 3 { log.refuse(0) }
                clock.advance(by: reporting.interval)
            }
            #expect(try await result == 7)
            #expect(try await reports(on: hub).map(\.state) == [.running, .succeeded])
        }
    }

    @Test("A hub that takes nothing for too long is given up")
    func hubThatTakesNothing() async throws {
        let log = ScriptedLog()
        try await Hub(log: log, logger: quiet).whileRunning { hub in
            async let result = hub.job("import-7", reporting: reporting) { _ in
                log.refuse(.max)
                return 7
            }
            try await log.waitForRefusals(1)
            try await clock.waitForSleepers(2)
            clock.advance(by: reporting.patience)
            #expect(try await result == 7)
        }
    }

    @Test("A job ends also where the hub has stopped")
    func jobEndsAlso() async throws {
        let hub = quickHub()
        try await hub.whileRunning { _ in }
        #expect(try await hub.job("import-7") { _ in 7 } == 7)
    }

    @Test(
        "An invalid name of a job is refused before anything is done",
        arguments: ["", "a\nb", String(repeating: "a", count: 1020)])
    func whatCanBeNoJob(name: String) async throws {
        try await quickHub().whileRunning { hub in
            await #expect { try await hub.job(name) { _ in Issue.record("It was begun.") } } throws: {
                ($0 as? MartletError)?.code == .invalidTopic
            }
            await #expect(throws: MartletError.self) { try await hub.markJobQueued(name) }
            await #expect(throws: MartletError.self) { try await hub.watchJob(name).first(1) }
            await #expect(throws: MartletError.self) { try await hub.watchJob(name, after: "earliest")?.first(1) }
        }
    }
}
