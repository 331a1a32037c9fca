// SPDX-License-Identifier: Apache-2.0

import Synchronization
import Testing

@testable import MartletBench

@Suite("Load generator", .enabled(if: EventPoll.isSupported))
struct LoadGeneratorTests {
    private func plan(
        _ server: PushServer, duration: Duration = .milliseconds(300), drain: Duration = .seconds(10)
    ) throws -> BenchPlan {
        try .quick("http://127.0.0.1:\(server.port)/stream", publishing: 100, duration: duration, drain: drain)
    }

    @Test("Deliveries of a good server are measured, and nothing is missing")
    func delivers() throws {
        let server = PushServer()
        defer { server.stop() }
        var generator = try LoadGenerator(try plan(server))
        let report = try generator.run()
        let published = try #require(report.published)
        #expect(report.subscribers.connected == 20)
        #expect(report.subscribers.failed == 0)
        #expect(report.subscribers.closed == 0)
        #expect(published.sent > 1)
        #expect(published.accepted == published.sent)
        #expect(published.lost == 0)
        #expect(published.duplicated == 0)
        #expect(published.outOfOrder == 0)
        #expect(report.deliveries.count > 0)
        #expect(report.latencyMicroseconds?.count == 20 * published.sent)
    }

    @Test("Events that a bad server loses, repeats or reorders are counted at each subscriber")
    func faults() throws {
        let last = Mutex("")
        let server = PushServer { number, data in
            // Event 0 comes twice, event 1 never, and event 2 after event 3.
            switch number {
            case 0: [data, data]
            case 1: []
            case 2:
                last.withLock {
                    $0 = data
                    return []
                }
            case 3: [data, last.withLock { $0 }]
            default: [data]
            }
        }
        defer { server.stop() }
        var generator = try LoadGenerator(try plan(server, drain: .seconds(2)))
        let published = try #require(try generator.run().published)
        #expect(published.accepted == published.sent)
        #expect(published.lost == 20)
        #expect(published.duplicated == 20)
        #expect(published.outOfOrder == 20)
    }

    @Test("An answer that is no stream is the reason of the failure")
    func rejected() throws {
        let server = PushServer(head: "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        defer { server.stop() }
        var generator = try LoadGenerator(try plan(server))
        let error = try #require(throws: BenchError.self) { try generator.run() }
        #expect(
            error.description
                == "no subscriber could connect to http://127.0.0.1:\(server.port)/stream: the answer has status 503"
        )
    }

    @Test("An interruption ends the run with a report")
    func interrupted() throws {
        let server = PushServer()
        defer { server.stop() }
        let calls = Mutex(0)
        let isInterrupted = {
            calls.withLock {
                $0 += 1
                return $0 > 200
            }
        }
        var generator = try LoadGenerator(
            try plan(server, duration: .seconds(86_400)), isInterrupted: isInterrupted)
        let report = try generator.run()
        #expect(report.notes.contains("The run was interrupted."))
        #expect(report.published?.lost == 0)
    }

    @Test("A server that is not there is an error of one line")
    func unreachable() throws {
        let plan = try BenchPlan.quick("http://127.0.0.1:1/")
        #expect(throws: BenchError("cannot connect to 127.0.0.1:1: Connection refused")) {
            _ = try LoadGenerator(plan)
        }
    }
}
