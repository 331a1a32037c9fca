// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import NIOCore
import NIOEmbedded
import Synchronization
import TestSupport
import Testing

@testable import Martlet

/// What others have said, in its order.
private final class Said<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])

    var all: [Value] { values.withLock { $0 } }

    func add(_ value: Value) { values.withLock { $0.append(value) } }
}

@Suite struct StreamChangeTests {
    private static let topics: [Topic] = ["a", "b", "c", "d"]

    /// Changes a stream while the loop of its client runs.
    private func change(
        _ client: SinkClient, of hub: Hub, as principal: String? = nil,
        to select: @escaping @Sendable (Selection) throws -> Selection
    ) async throws -> ChangedStream {
        let results = Said<Result<ChangedStream, any Error>>()
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                do { results.add(.success(try await hub.change("me", of: principal, to: select))) } catch {
                    results.add(.failure(error))
                }
            }
            try await client.read { _ in !results.all.isEmpty }
            return try results.all[0].get()
        }
    }

    private func open(
        _ hub: Hub, _ selection: Selection, after id: String? = nil, withValues: Bool = false, principal: String? = nil,
        watermark: Int? = nil
    ) async throws -> SinkClient {
        var terms = LeaseTerms(principal: principal)
        terms.control = "me"
        return try await SinkClient(
            try await hub.subscribe(to: selection, after: id, withValues: withValues, terms: terms),
            watermark: watermark)
    }

    /// The loop of the client runs only while the test reads, and holds up nobody.
    private static let base = HubConfiguration.with { $0.maximumShardLag = .max }

    @Test(
        "A stream that is changed again and again has each event of what it selects at the time, once",
        arguments: 0..<12)
    func model(round: Int) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let windowBytes = [1, 1000, 1_000_000].randomElement(using: &random) ?? 1
        let watermark = [nil, 200, 2000].randomElement(using: &random) ?? nil
        let base = HubConfiguration.with {
            $0.maximumShardLag = .max
            $0.writeTimeout = .seconds(86_400)
            $0.chooseReplays(using: &random)
        }
        let log = MemoryLog()
        try await withHub(log: log, windowBytes: windowBytes, base: base) { [random] hub in
            var random = random
            /// What was published, in its order.
            var published: [(topic: Topic, data: String, position: Position)] = []
            /// From where on the stream selects what.
            let first = Selection(topics: ["a"])
            var changes: [(after: Position, selection: Selection)] = []
            for number in 0..<20 {
                let topic = Self.topics.randomElement(using: &random) ?? "a"
                let id = try await hub.publish("before \(number)", to: topic)
                published.append((topic, "before \(number)", try Position(id)))
            }
            let fromStart = Bool.random(using: &random)
            _ = try await hub.end(covering: published[19].position)
            let client = try await open(
                hub, first, after: fromStart ? Position.earliest.text : nil, watermark: watermark)
            changes.append((fromStart ? .earliest : published[19].position, first))
            for number in 0..<300 {
                switch Int.random(in: 0..<10, using: &random) {
                case 0..<7:
                    let topic = Self.topics.randomElement(using: &random) ?? "a"
                    let id = try await hub.publish("\(number)", to: topic)
                    published.append((topic, "\(number)", try Position(id)))
                case 7:
                    try await client.read()
                    await client.loop.advanceTime(by: .microseconds(50))
                case 8 where watermark == nil:
                    try await client.setWritable(Bool.random(using: &random))
                default:
                    let topics = Set(Self.topics.filter { _ in Bool.random(using: &random) }.map { TopicSelector($0) })
                    guard !topics.isEmpty else { continue }
                    let changed = try await change(client, of: hub) { _ in Selection(selectors: topics) }
                    #expect(changed.selection.selectors == topics)
                    changes.append((changed.position, changed.selection))
                }
            }
            // What stands behind a change and not behind the next one.
            let expected = published.filter { event in
                let change = changes.last { !log.covers($0.after, event.position) }
                return change?.selection.selects(event.topic) ?? false
            }.map(\.data)
            try await client.setWritable(true)
            try await client.read { $0.events.count >= expected.count }
            #expect(client.events.map { $0.data ?? "" } == expected, "seed \(seed), round \(round)")
        }
    }

    @Test("Topics that stay lose nothing and repeat nothing, also with several partitions", arguments: 0..<4)
    func partitions(round: Int) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let base = HubConfiguration.with {
            $0.maximumShardLag = .max
            $0.chooseReplays(using: &random)
        }
        let log = VectorLog(VectorLog.Store(), readsFirst: .second)
        try await withHub(log: log, windowBytes: round % 2 == 0 ? 1 : 100_000, base: base) { [random] hub in
            var random = random
            let client = try await open(hub, Selection(topics: ["a"]))
            var own: [String] = []
            for number in 0..<200 {
                let topic = Self.topics.randomElement(using: &random) ?? "a"
                try await hub.publish("\(number)", to: topic)
                if topic == "a" { own.append("\(number)") }
                guard number % 7 == 0 else { continue }
                let others = Self.topics.filter { _ in Bool.random(using: &random) }
                _ = try await change(client, of: hub) { _ in Selection(topics: Set(others).union(["a"])) }
            }
            try await client.read { client in own.allSatisfy { data in client.events.contains { $0.data == data } } }
            let read = client.events.map { $0.data ?? "" }
            #expect(Set(read).count == read.count, "seed \(seed)")
            #expect(read.filter(own.contains) == own, "seed \(seed)")
        }
    }

    @Test("A change waits for history that is being read, and what was read is dropped")
    func whileReading() async throws {
        try await withHub(windowBytes: 1, base: Self.base) { hub in
            for topic in Self.topics { try await hub.publish(numbers: 0..<100, to: topic) }
            let client = try await open(hub, Selection(topics: ["a"]), after: Position.earliest.text)
            let changed = try await change(client, of: hub) { _ in Selection(topics: ["b"]) }
            try await hub.publish("last", to: "b")
            try await client.read { $0.events.last?.data == "last" }
            let read = client.events.map { $0.data ?? "" }
            let own = read.dropLast(101)
            #expect(Array(own) == (0..<own.count).map(String.init), "as far as it had come")
            #expect(Array(read.suffix(101)) == (0..<100).map(String.init) + ["last"])
            #expect(changed.ended.topics.isEmpty)
        }
    }

    @Test("A change is refused without an effect: unknown, of another, an error, too many topics, still beginning")
    func refusals() async throws {
        let base = HubConfiguration.with {
            $0.maximumShardLag = .max
            $0.limits.topicsPerSubscription = 2
        }
        try await withHub(base: base) { hub in
            let client = try await open(hub, Selection(topics: ["a"]), principal: "alice")
            struct Refusal: Error {}
            await #expect(throws: StreamChangeError.ended) {
                try await hub.change("other", of: "alice") { $0 }
            }
            for principal in ["bob", nil] {
                await #expect(throws: StreamChangeError.ended) { try await hub.change("me", of: principal) { $0 } }
            }
            await #expect(throws: Refusal.self) {
                try await change(client, of: hub, as: "alice") { _ in throw Refusal() }
            }
            await #expect(throws: MartletError.self) {
                try await change(client, of: hub, as: "alice") { _ in Selection(topics: ["a", "b", "c"]) }
            }
            try await hub.publish("1", to: "a")
            try await client.read { $0.events.map(\.data) == ["1"] }
            #expect(hub.feedCount == 1)
        }
    }

    @Test("A stream that is still sent values is not changed, and one that has ended is none")
    func beginningAndEnd() async throws {
        let base = HubConfiguration.with {
            $0.maximumShardLag = .max
            $0.slice = SliceLimit(events: 1)
        }
        try await withHub(base: base) { hub in
            for number in 0..<3 {
                let id = try await hub.publish(Event(topic: "a", data: "\(number)", key: "\(number)"))
                _ = try await hub.end(covering: Position(id))
            }
            let client = try await open(hub, Selection(topics: ["a"]), withValues: true, watermark: 1)
            await #expect(throws: StreamChangeError.beginning) {
                // The loop runs once, and then the channel is full.
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { _ = try await hub.change("me", of: nil) { _ in Selection(topics: ["b"]) } }
                    for _ in 0..<100 { await client.loop.advanceTime(by: .microseconds(50)) }
                    try await tasks.waitForAll()
                }
            }
            try await client.read { $0.events.count == 3 }
            let changed = try await change(client, of: hub) { _ in Selection(topics: ["b"]) }
            #expect(changed.position == hub.end)
            #expect(hub.feedCount == 1)
            try await client.close()
            await #expect(throws: StreamChangeError.ended) { try await hub.change("me", of: nil) { $0 } }
            #expect(hub.feedCount == 0)
        }
    }

    @Test("Only so many changes of a stream wait, and those that wait are answered when it ends")
    func waitingChanges() async throws {
        try await withHub(base: Self.base) { hub in
            var terms = LeaseTerms()
            terms.control = "me"
            var subscription: Subscription? = try await hub.subscribe(
                to: Selection(topics: ["a"]), after: nil, terms: terms)
            #expect(subscription?.lease != nil)
            let outcomes = Said<StreamChangeError>()
            await withTaskGroup(of: Void.self) { tasks in
                for _ in 0...Lease.mostChanges {
                    tasks.addTask {
                        do { _ = try await hub.change("me", of: nil) { $0 } } catch {
                            if let error = error as? StreamChangeError { outcomes.add(error) }
                        }
                    }
                }
                try? await until { outcomes.all == [.tooMany] }
                subscription = nil
            }
            #expect(outcomes.all == [.tooMany] + Array(repeating: .ended, count: Lease.mostChanges))
        }
    }
}
