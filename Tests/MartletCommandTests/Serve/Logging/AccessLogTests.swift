// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Logging
import Martlet
import MartletMetrics
import Synchronization
import TestSupport
import Testing

@testable import MartletCommand

@Suite("The access log")
struct AccessLogTests {
    private let registry = PrometheusRegistry()

    @Test("A stream that has ended is one line, without what is not known")
    func lines() async throws {
        let log = RecordingLog()
        let access = AccessLog(log.logger, metrics: registry)
        access.write(
            EndedStream(
                reason: .slow, topics: ["b", "a"], principal: "alice", name: "tab",
                client: StreamClient(address: "192.0.2.7", requestID: "r1"), duration: .milliseconds(1500), events: 3,
                bytes: 99))
        access.write(EndedStream(reason: .client, topics: ["a"]))
        await access.flush()
        try #require(log.lines.count == 2)
        for part in [
            "info Stream ended.", #""reason": slow"#, #""duration_ms": 1500"#, #""events": 3"#, #""bytes": 99"#,
            #""topics": ["a", "b"]"#, #""principal": alice"#, #""stream": tab"#, #""address": 192.0.2.7"#,
            #""request_id": r1"#,
        ] {
            #expect(log.lines[0].contains(part), "\(part) in \(log.lines[0])")
        }
        for name in ["principal", "stream", "address", "request_id", "more_topics"] {
            #expect(!log.lines[1].contains(name))
        }
    }

    @Test("The topics of a line are bounded in number and length, and the rest is counted")
    func topics() async throws {
        let log = RecordingLog()
        let access = AccessLog(log.logger, metrics: registry)
        let names = (0...AccessLog.mostTopics).map { "topic/\(1000 + $0)" }
        access.write(EndedStream(reason: .client, topics: Set(names.dropLast().map { TopicSelector($0) })))
        access.write(EndedStream(reason: .client, topics: Set(names.map { TopicSelector($0) })))
        let most = String(repeating: "x", count: AccessLog.mostTopicBytes)
        access.write(EndedStream(reason: .client, topics: [TopicSelector(most)]))
        access.write(EndedStream(reason: .client, topics: [TopicSelector(most + "y")]))
        await access.flush()
        #expect(!log.lines[0].contains("more_topics"))
        #expect(log.lines[0].contains(names[AccessLog.mostTopics - 1]))
        #expect(log.lines[1].contains(#""more_topics": 1"#))
        #expect(!log.lines[1].contains(names[AccessLog.mostTopics]))
        #expect(log.lines[2].contains("\"\(most)\""))
        #expect(log.lines[3].contains("\"\(most)…\""))
    }

    @Test("A log that takes no lines holds up nobody: what finds no room is left out, counted, and said")
    func slowLog() async throws {
        let gate = Gate()
        let access = AccessLog(Logger(label: "test") { _ in gate }, capacity: 2, metrics: registry)
        func write(_ name: String) { access.write(EndedStream(reason: .client, topics: [TopicSelector(name)])) }
        write("first")
        // It is on its way and takes no room any more.
        try await until { gate.isReached }
        for name in ["second", "third", "fourth"] { write(name) }
        #expect(registry.render().contains("martlet_access_lines_lost_total 1\n"))
        gate.open()
        await access.flush()
        let lines = gate.lines
        #expect(lines.count == 4)
        #expect(lines.last?.contains(#""streams": 1"#) == true)
        #expect(!lines.contains { $0.contains("fourth") })
        write("fifth")
        await access.flush()
        #expect(gate.lines.last?.contains("fifth") == true)
    }
}

/// A log that takes no line until it is opened.
private final class Gate: LogHandler {
    private let taken = Mutex<[String]>([])
    private let reached = Atomic(false)
    private let semaphore = DispatchSemaphore(value: 0)

    var lines: [String] { taken.withLock { $0 } }
    var isReached: Bool { reached.load(ordering: .acquiring) }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    func open() { semaphore.signal() }

    func log(event: LogEvent) {
        reached.store(true, ordering: .releasing)
        semaphore.wait()
        semaphore.signal()
        taken.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
    }
}
