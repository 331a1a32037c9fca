// SPDX-License-Identifier: Apache-2.0

import Benchmark
import Logging
import Martlet

/// Publishing to hubs of which subscribers read in this process: what an event costs until all have it.
func hubBenchmarks() {
    for topics in [1, 1000, 100_000] {
        Benchmark("Publish, \(topics) topics of one subscriber each") { benchmark, readers in
            for number in benchmark.scaledIterations {
                try await readers.publish(to: number % topics)
            }
        } setup: {
            try await Readers(topics: topics, perTopic: 1)
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

/// A hub with subscribers that read everything.
final class Readers: Sendable {
    let hub: Hub
    private let names: [Topic]
    private let running: Task<Void, any Error>

    init(topics: Int, perTopic: Int) async throws {
        let hub = Hub(logger: Logger(label: "benchmark") { _ in SwiftLogNoOpLogHandler() })
        let names = try (0..<topics).map { try Topic("topic/\($0)") }
        self.hub = hub
        self.names = names
        running = Task {
            try await withThrowingTaskGroup { group in
                group.addTask { try await hub.run() }
                for name in names {
                    for _ in 0..<perTopic {
                        group.addTask {
                            try await hub.subscribe(to: name) { for try await event in $0 { blackHole(event) } }
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        while hub.feedCount < topics { try await Task.sleep(for: .milliseconds(1)) }
    }

    func publish(to topic: Int) async throws { try await hub.publish("200 bytes would be more", to: names[topic]) }

    deinit { running.cancel() }
}
