// SPDX-License-Identifier: Apache-2.0

import Benchmark
import Logging
import Martlet
import Synchronization

/// Publishing to hubs of which subscribers read in this process: what an event costs until all have it.
func hubBenchmarks() {
    for count in [1, 100, 1000, 10_000, 100_000] {
        publish("\(count) topics of one subscriber each") { try await Readers(topics: count, perTopic: 1) }
    }
    // Templates of users, of tenants, and that have only their ends to tell them apart.
    for template in ["users/N/{x}", "/{tenant}/users/N/{x}", "{+path}/N"] {
        for count in [100, 1000, 10_000, 100_000] {
            publish("\(count) templates \(template) of one subscriber each") {
                try await Readers(topics: count, perTopic: 1, template: template)
            }
        }
    }
    Benchmark("Publish, a topic of 1000 subscribers") { benchmark, readers in
        for _ in benchmark.scaledIterations { try await readers.publish(to: 0) }
    } setup: {
        try await Readers(topics: 1, perTopic: 1000)
    }
    Benchmark("Publish in batches of 100, nobody subscribed") { benchmark, readers in
        let batch = (0..<100).map { Event(topic: "nobody", data: "\($0)") }
        for _ in benchmark.scaledIterations { try await readers.hub.publish(contentsOf: batch) }
    } setup: {
        try await Readers(topics: 0, perTopic: 0)
    }
}

/// Publishes to one topic after the other, and waits until the last event was read.
private func publish(_ name: String, to readers: @escaping @Sendable () async throws -> Readers) {
    Benchmark("Publish, \(name)") { benchmark, readers in
        for number in benchmark.scaledIterations { try await readers.publish(to: number % readers.topicCount) }
        try await readers.waitUntilRead()
    } setup: {
        try await readers()
    }
}

/// A hub with subscribers that read everything.
final class Readers: Sendable {
    let hub: Hub
    private let names: [Topic]
    private let running: Task<Void, any Error>
    private let counts = Counts()

    private final class Counts: Sendable {
        let published = Atomic(0)
        let read = Atomic(0)
    }

    var topicCount: Int { names.count }

    /// - Parameter template: What the subscribers name, with their number for `N`; it need not be a template.
    init(topics: Int, perTopic: Int, template: String = "topic/N") async throws {
        let hub = Hub(logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() })
        let texts = (0..<topics).map { template.replacing("N", with: "\($0)") }
        self.hub = hub
        names = try texts.map { text in
            try Topic(
                [("{x}", "inbox"), ("{tenant}", "acme"), ("{+path}", "a/b")].reduce(text) {
                    $0.replacing($1.0, with: $1.1)
                })
        }
        let counts = counts
        running = Task {
            try await withThrowingTaskGroup { group in
                group.addTask { try await hub.run() }
                for text in texts {
                    for _ in 0..<perTopic {
                        group.addTask {
                            try await hub.subscribe(to: Selection(selectors: [TopicSelector(text)])) {
                                for try await event in $0 {
                                    blackHole(event)
                                    counts.read.add(1, ordering: .relaxed)
                                }
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        while hub.feedCount < topics { try await Task.sleep(for: .milliseconds(1)) }
    }

    func publish(to topic: Int) async throws {
        try await hub.publish("200 bytes would be more", to: names[topic])
        counts.published.add(1, ordering: .relaxed)
    }

    /// Waits until all that was published has been read, by one subscriber for each topic.
    func waitUntilRead() async throws {
        while counts.read.load(ordering: .relaxed) < counts.published.load(ordering: .relaxed) { await Task.yield() }
    }

    deinit { running.cancel() }
}
