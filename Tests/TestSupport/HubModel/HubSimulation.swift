// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting

/// Random operations on a hub and on a ``HubModel``, which must agree.
///
/// After each publish the simulation waits until the hub has read it, so that the model knows which events are live and
/// which were removed. Subscribers come, take some events, leave, and come back with the last id that they received, while
/// hubs stop and start on one log. For every subscriber:
///
/// - Each event that it receives was accepted, is selected and unchanged, and comes once and in order in each lane of the
///   log, also after a restart, and if the subscriber resumes from a position.
/// - No selected event is missing between two deliveries, unless a gap comes before the second. Then only events are
///   missing that the log has removed by then.
/// - A gap comes only if a selected event after the subscriber's place has left history, although it may still come from
///   the window; or if the id is unknown, is of another life, or belonged to an event that was removed.
/// - If the log removes events at once, a subscription starts with a gap exactly if the model says so; otherwise, never if
///   the model forbids it.
/// - No subscriber receives events that were refused or repeated with a key. A known key gets its first answer.
/// - In the end every subscriber has every event, and no more events come.
package struct HubSimulation {
    static let mostSubscribers = 12

    var random: SeededGenerator
    var model: HubModel
    var hub: Hub
    var log: WatchedLog
    private var running: Task<Void, any Error>
    /// The selections of clients; so few that some clients share a feed.
    let selections: [Selection]
    var subscribers: [ModelSubscriber] = []
    /// The ids of clients that have left.
    var absent: [(id: ModelID, selection: Selection)] = []
    /// The answers to publishers.
    var answers: [ModelID] = []
    /// The number of events that were made; their data starts with the number.
    var made = 0
    /// The last operations, for failure messages.
    private var trace: [String] = []

    /// Runs this many operations.
    ///
    /// - Throws: ``HubModelFailure`` with the seed and the last operations, for every kind of failure.
    package static func run(_ log: ModelledLog, operations: Int, seed: UInt64) async throws {
        var simulation = try await HubSimulation(log, seed: seed)
        do {
            for _ in 0..<operations { try await simulation.step() }
            try await simulation.finish()
        } catch {
            simulation.running.cancel()
            let trace = simulation.trace.joined(separator: "\n")
            throw HubModelFailure("\(error)\nMARTLET_FUZZ_SEED=\(seed), after:\n\(trace)")
        }
    }

    private init(_ log: ModelledLog, seed: UInt64) async throws {
        random = SeededGenerator(seed: seed)
        model = HubModel(log)
        var selections: [Selection] = []
        for _ in 0..<24 { selections.append(.random(using: &random)) }
        self.selections = selections
        self.log = WatchedLog(try await log.make())
        (hub, running) = await Self.start(self.log, using: &random)
    }

    private mutating func step() async throws {
        switch Int.random(in: 0..<1000, using: &random) {
        case 0..<340: try await publish()
        case 340..<370: try await publishInvalid()
        case 370..<470: try await subscribe()
        case 470..<530: leave()
        case 530..<600: try await comeBack()
        case 600..<620: model.log.clock?.advance(by: .seconds(Int.random(in: 1...30, using: &random)))
        case 620..<623: try await restart()
        default: try await take(atMost: Int.random(in: 1...5, using: &random))
        }
    }

    mutating func note(_ operation: String) {
        trace.append("\(trace.count) \(operation)")
        if trace.count > 20 { trace.removeFirst() }
    }
}

/// Starting and stopping the hub.
extension HubSimulation {
    /// A hub with another window each time, from one that holds nothing to one that holds everything, and small slices.
    private static func start(
        _ log: WatchedLog, using random: inout SeededGenerator
    ) async -> (Hub, Task<Void, any Error>) {
        var configuration = HubConfiguration()
        configuration.windowBytes = [1, 1000, 5000, 1_000_000].randomElement(using: &random)!
        configuration.slice = SliceLimit(events: Int.random(in: 1...4, using: &random))
        configuration.grace = .zero
        let hub = Hub(log: log, configuration: configuration, logger: quiet)
        let running = Task { try await hub.run() }
        while !hub.isReady, !Task.isCancelled { await Task.yield() }
        return (hub, running)
    }

    /// Stops the hub, which ends all subscriptions, and starts another one on its history.
    private mutating func restart() async throws {
        note("restart")
        try await stop()
        if !model.log.outlivesHubs { model.beginAnew() }
        log = WatchedLog(try await model.log.make())
        (hub, running) = await Self.start(log, using: &random)
    }

    private mutating func stop() async throws {
        running.cancel()
        try await running.value
        for index in subscribers.indices {
            // Events that were read before may still come.
            while try await subscribers[index].takeNext(in: model) {}
            absent.append((subscribers[index].id, subscribers[index].selection))
        }
        subscribers = []
    }

    /// Every client comes back and takes all events; then one more event is published, and only that one comes.
    private mutating func finish() async throws {
        while !absent.isEmpty { try await comeBack() }
        for index in subscribers.indices { try await drain(index) }
        try await publish([Event(topic: Self.topics[0], alternates: Array(Self.topics.dropFirst()), data: "last")])
        for index in subscribers.indices where subscribers[index].hasMore(in: model) {
            _ = try await subscribers[index].takeNext(in: model)
            try verify(!subscribers[index].hasMore(in: model), "Something came that nobody had published.")
        }
        try await stop()
    }
}

extension HubSimulation {
    static let topics: [Topic] = ["t/0", "t/1", "t/2", "t/3", "t/4", "t/5"]

    /// An event with unique data. The last topic is rare, and ids repeat.
    mutating func makeEvent() -> Event {
        func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
        made += 1
        let topic = chance(3) ? Self.topics[5] : Self.topics[Int.random(in: 0..<5, using: &random)]
        let alternates = Self.topics.filter { $0 != topic }.shuffled(using: &random)
        return Event(
            topic: topic, alternates: chance(15) ? Array(alternates.prefix(chance(50) ? 1 : 2)) : [],
            data: "\(made)" + String(repeating: ".", count: Int.random(in: 0...100, using: &random)),
            id: chance(25) ? "own \(Int.random(in: 0..<80, using: &random))" : nil, type: chance(10) ? "update" : nil,
            retry: chance(5) ? made : nil, key: chance(10) ? "key" : nil, isPrivate: chance(20))
    }
}

extension Selection {
    /// Some topics, a pattern, or everything, with or without rights.
    static func random(using random: inout some RandomNumberGenerator) -> Selection {
        let topics = HubSimulation.topics.shuffled(using: &random).map { TopicSelector($0) }
        let selectors: Set<TopicSelector> =
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5: [topics[0]]
            case 5, 6: Set(topics.prefix(Int.random(in: 2...3, using: &random)))
            case 7: [TopicSelector("t/{number}")]
            case 8: [TopicSelector("t/0"), TopicSelector("other")]
            default: [.every]
            }
        let grants: Set<TopicSelector> =
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4: []
            case 4..<7: [.every]
            case 7: [TopicSelector("t/{number}")]
            default: Set(topics.prefix(Int.random(in: 1...2, using: &random)))
            }
        return Selection(selectors: selectors, grants: grants)
    }
}
