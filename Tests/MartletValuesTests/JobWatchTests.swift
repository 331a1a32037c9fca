// SPDX-License-Identifier: Apache-2.0

import Foundation
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletValues

@Suite(.timeLimit(.minutes(10))) struct JobWatchTests {
    /// Every report of a job's latest run with its id.
    private func deliveries(on hub: Hub) async throws -> [TypedDelivery<JobReport>] {
        var watch = hub.watchJob("import-7").makeAsyncIterator()
        var deliveries: [TypedDelivery<JobReport>] = []
        while let delivery = try await watch.nextDelivery() { deliveries.append(delivery) }
        return deliveries
    }

    @Test("A waiting job is queued, and its watchers follow its run")
    func jobThatWaitsIsQueued() async throws {
        try await quickHub().whileRunning { hub in
            try await hub.markJobQueued("import-7", "Third in line")
            var watch = hub.watchJob("import-7").makeAsyncIterator()
            let queued = try await watch.next()
            #expect(queued?.state == .queued && queued?.message == "Third in line" && queued?.started == nil)
            let running = try await hub.job("import-7") { _ in try await watch.next() }
            #expect(running?.state == .running)
            #expect(try await watch.next()?.state == .succeeded)
            #expect(try await watch.next() == nil)
            #expect(try await watch.next() == nil)
        }
    }

    @Test("A watcher that comes before a job sees its first run")
    func whoWatchesAJobBefore() async throws {
        try await quickHub().whileRunning { hub in
            let reports = hub.watchJob("import-7")
            async let states = reports.first(.max).map(\.state)
            try await hub.job("import-7") { _ in }
            #expect(try await states == [.running, .succeeded])
        }
    }

    @Test("A new run of a name is not ended by the old one")
    func newRunOfAName() async throws {
        try await quickHub().whileRunning { hub in
            try await hub.job("import-7") { await $0.progress(0.1) }
            let first = try await deliveries(on: hub)
            try await hub.job("import-7") { job in
                var watch = hub.watchJob("import-7").makeAsyncIterator()
                let running = try await watch.next()
                await job.progress(0.2)
                let progress = try await watch.next()
                #expect(running?.state == .running && progress?.fraction == 0.2)
            }
            let second = try await deliveries(on: hub)
            #expect(second.map(\.value.state) == [.running, .progress, .succeeded])
            #expect(Set(second.map(\.id)).isDisjoint(with: first.map(\.id)))
            for seen in first {
                let reports = try await hub.watchJob("import-7", after: seen.id)?.first(.max)
                #expect(reports == second.map(\.value))
            }
        }
    }

    @Test("A client that comes back receives the rest, or nothing if there is none")
    func whoComesBackGets() async throws {
        let store = VectorLog.Store()
        let logs: [[any Log]] = [
            [MemoryLog()], [VectorLog(store), VectorLog(store, readsFirst: .second)],
        ]
        for nodes in logs {
            let hub = Hub(log: nodes[0], logger: quiet)
            let other = nodes.count == 1 ? nil : Hub(log: nodes[1], logger: quiet)
            try await hub.whileRunning { hub in
                guard let other else { return try await comeBack(to: [hub]) }
                try await other.whileRunning { try await comeBack(to: [hub, $0]) }
            }
        }
    }

    private func comeBack(to hubs: [Hub]) async throws {
        let hub = hubs[0]
        try await hub.job("import-7") { job in
            var watch = hub.watchJob("import-7").makeAsyncIterator()
            _ = try await watch.next()
            await job.progress(0.5)
            let last = try #require(try await watch.nextDelivery())
            let reports = try #require(try await hub.watchJob("import-7", after: last.id))
            var rest = reports.makeAsyncIterator()
            await job.progress(0.75)
            #expect(try await rest.next()?.fraction == 0.75)
        }
        for topic in ["a", "b", "c", "d"] { try await hub.publish("other", to: Topic(topic)) }
        let all = try await deliveries(on: hub)
        #expect(all.last?.value.state == .succeeded)
        for hub in hubs {
            for (index, seen) in all.enumerated() {
                let reports = try await hub.watchJob("import-7", after: seen.id)
                let isLast = index == all.count - 1
                #expect((reports == nil) == isLast)
                if let reports { #expect(try await reports.first(.max) == all[(index + 1)...].map(\.value)) }
            }
            for id in ["earliest", "never-given", "k3v9x2ma-7"] {
                let reports = try await hub.watchJob("import-7", after: id)
                #expect(try await reports?.first(.max) == all.map(\.value), "\(id)")
            }
        }
        try await hub.markJobQueued("import-7")
        let end = try await hub.publish("end", to: "end")
        _ = try await hub.end(covering: Position(end))
        let anew = try await hub.watchJob("import-7", after: all.last?.id ?? "")
        #expect(try await anew?.first(1).map(\.state) == [.queued])
    }

    @Test("The latest run is found in a long history, and lost reports are said")
    func latestRunIsFound() async throws {
        let hub = quickHub(retention: Retention(events: 800)) { $0.windowBytes = 1 }
        try await hub.whileRunning { hub in
            let topic = try Topic.job("import-7")
            func publish(_ run: String, _ states: [JobReport.State]) async throws {
                let events = try states.map { try JobReport(state: $0, run: run, time: .now).event(on: topic) }
                let id = try await hub.publish(contentsOf: events).last
                _ = try await hub.end(covering: Position(try #require(id)))
            }
            try await publish("a", [.running] + Array(repeating: .progress, count: 600) + [.failed])
            try await publish("b", [.running, .progress])
            var watch = hub.watchJob("import-7").makeAsyncIterator()
            let first = try await watch.next()
            #expect(first?.run == "b" && first?.state == .running)
            for _ in 0..<3 { try await publish("b", Array(repeating: .progress, count: 300)) }
            await #expect {
                while try await watch.next() != nil {}
            } throws: {
                ($0 as? EventValueError)?.code == .gap
            }
            try await publish("b", [.succeeded])
            var last: JobReport?
            for try await report in hub.watchJob("import-7") { last = report }
            #expect(last?.state == .succeeded)
        }
    }

    @Test("Other events of the topic are left out, and what is no report is said")
    func otherEventsOfTheTopic() async throws {
        try await quickHub().whileRunning { hub in
            try await hub.publish("note", to: "jobs/import-7")
            let bad = try await hub.publish("secret", to: "jobs/import-7", type: "job")
            try await hub.job("import-7") { _ in }
            #expect(try await deliveries(on: hub).map(\.value.state) == [.running, .succeeded])
            try await hub.markJobQueued("import-7")
            let worse = try await hub.publish("secret", to: "jobs/import-7", type: "job")
            await #expect {
                try await hub.watchJob("import-7").first(2)
            } throws: {
                let error = $0 as? EventValueError
                return error?.code == .notDecodable && error?.id == worse && error?.message.contains("secret") == false
            }
            #expect(bad != worse)
        }
    }

    @Test("Only the reports of the latest run count")
    func onlyTheReports() {
        func report(_ state: JobReport.State, _ run: String) -> JobReport {
            JobReport(state: state, run: run, time: .now)
        }
        var runs = JobRuns()
        #expect(runs.take(report(.progress, "a")) == .continuation)
        #expect(runs.take(report(.queued, "b")) == .beginning)
        #expect(runs.take(report(.succeeded, "a")) == .stale)
        #expect(!runs.isFinished)
        #expect(runs.take(report(.running, "c")) == .beginning)
        #expect(runs.take(report(.running, "c")) == .continuation)
        #expect(runs.take(report(.failed, "c")) == .continuation)
        #expect(runs.isFinished)
        #expect(runs.take(report(.progress, "b")) == .stale)
        #expect(runs.isFinished)
        #expect(runs.take(report(.running, "d")) == .beginning)
        #expect(!runs.isFinished)
    }
}
