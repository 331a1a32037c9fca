// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Hummingbird
import HummingbirdTesting
import Martlet
import MartletHTTP
import MartletTesting
import MartletValues
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct JobStreamTests {
    private struct Failure: Error {}

    private func run(
        hub: Hub = quickHub(), _ body: @Sendable @escaping (Hub, any TestClientProtocol) async throws -> Void
    ) async throws {
        let router = Router()
        router.events("jobs/{name}") { _, context, stream in
            try await stream.follow(job: context.parameters.require("name"), of: hub)
        }
        let application = Application(router: router, services: [hub], logger: quiet)
        try await application.test(.live) { try await body(hub, $0) }
    }

    private func report(_ event: ServerSentEvent?) throws -> JobReport {
        let event = try #require(event)
        #expect(event.event == "job")
        return try EventJSON.value(of: event.data ?? "")
    }

    @Test("A client sees a job from its beginning to its end, and is not to come back then")
    func clientSeesAJob() async throws {
        try await run { hub, client in
            try await hub.markJobQueued("import")
            var events = client.events("/jobs/import").makeAsyncIterator()
            #expect(try report(try await events.next()).state == .queued)
            try await hub.job("import") { job in
                let begun = try report(try await events.next())
                #expect(begun.state == .running)
                await job.progress(0.5, "half")
            }
            var (last, id): (JobReport?, String?)
            while let event = try await events.next() { (last, id) = (try report(event), event.id) }
            #expect(last?.state == .succeeded)
            #expect(last?.fraction == 1)
            // What an EventSource does when its stream has ended.
            await #expect(throws: TestEvents.Refused(status: 204)) {
                for try await _ in client.events("/jobs/import", lastEventID: id ?? "") {}
            }
        }
    }

    @Test("A client that comes late or comes back receives the reports that it has not seen")
    func whoComesLateOrComes() async throws {
        try await run { hub, client in
            await #expect(throws: Failure.self) { try await hub.job("import") { _ in throw Failure() } }
            var states: [JobReport.State] = []
            var ids: [String] = []
            for try await event in client.events("/jobs/import") {
                states.append(try report(event).state)
                ids.append(try #require(event.id))
            }
            #expect(states == [.running, .failed])
            var rest: [JobReport.State] = []
            for try await event in client.events("/jobs/import", lastEventID: ids[0]) {
                rest.append(try report(event).state)
            }
            #expect(rest == [.failed])
        }
    }

    @Test("A name that no job can have is refused")
    func nameThatNoJobCan() async throws {
        try await run { _, client in
            let name = String(repeating: "x", count: 4000)
            await #expect(throws: TestEvents.Refused(status: 400)) {
                for try await _ in client.events("/jobs/\(name)") {}
            }
        }
    }
}
