// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletValues
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ValuesRestartTests {
    @Test("A state and the end of a job are there after a restart")
    func restart() async throws {
        try await TemporaryFolder.with { folder in
            let (id, final) = try await Hub(log: folder.log("hub.db"), logger: quiet).whileRunning { hub in
                let status = StateTopic<[String: Int]>("status", of: hub)
                for number in 1...600 { try await hub.publish(["number": number], to: "status") }
                try await hub.job("import-7") { await $0.progress(0.5) }
                var watch = hub.watchJob("import-7").makeAsyncIterator()
                var final = ""
                while let report = try await watch.nextDelivery() { final = report.id }
                return (try await status.set(["number": 601]), final)
            }
            try await Hub(log: folder.log("hub.db"), logger: quiet).whileRunning { hub in
                let status = StateTopic<[String: Int]>("status", of: hub)
                let current = try await status.current()
                #expect(current?.value == ["number": 601] && current?.id == id)
                var updates = status.updates.makeAsyncIterator()
                #expect(try await updates.next()?.id == id)
                try await status.set(["number": 602])
                #expect(try await updates.next()?.value == ["number": 602])
                #expect(try await hub.watchJob("import-7", after: final) == nil)
                var states: [JobReport.State] = []
                for try await report in hub.watchJob("import-7") { states.append(report.state) }
                #expect(states == [.running, .progress, .succeeded])
            }
        }
    }
}
