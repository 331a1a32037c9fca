// SPDX-License-Identifier: Apache-2.0

package import Martlet
import Testing

/// Holds a log with ``RetentionRules`` against a naive history, which looks at every event that there ever was.
package struct RuleSimulation {
    /// A log, and what a test can do to it. Nothing else uses it.
    package struct Subject {
        package var log: any Log
        package var size: () -> (events: Int, bytes: Int)
        /// Reads the tail up to the newest event, and lets the log remove all that it may remove.
        package var settle: (_ newest: Position) async throws -> Void
        package var restart: (() async throws -> Void)?

        package init(
            _ log: any Log, size: @escaping () -> (events: Int, bytes: Int),
            settle: @escaping (_ newest: Position) async throws -> Void,
            restart: (() async throws -> Void)? = nil
        ) {
            self.log = log
            self.size = size
            self.settle = settle
            self.restart = restart
        }
    }

    private struct Item {
        var event: Event
        var position: Position
        var time: Int64
    }

    package static let rules: RetentionRules = [
        .init(topics: "one", events: 1),
        .init(topics: "chat/{id}", events: 5, age: .seconds(40)),
        .init(topics: "chat/special", events: 1),
        .init(topics: "bytes/{id}", bytes: 3 * Event(topic: "bytes/0", data: "12345").byteCount),
        .init(topics: "old/{id}", age: .seconds(25)),
    ]
    package static let retention = Retention(events: 40, age: .seconds(300))

    private var live: [(number: Int, item: Item)] = []
    private var removed: [(number: Int, item: Item)] = []
    private var count = 0
    private var now: Int64 = 0

    private static func rule(_ topic: Topic) -> RetentionRules.Rule? {
        rules.rules.first { $0.topics.matches(topic) }
    }

    /// - Parameter number: Later events must not be removed.
    private mutating func trim(through number: Int) {
        for topic in Set(live.map(\.item.event.topic)) {
            guard let rule = Self.rule(topic) else { continue }
            while let index = live.firstIndex(where: { $0.item.event.topic == topic }), live[index].number <= number {
                let all = live.filter { $0.item.event.topic == topic }
                let bytes = all.reduce(0) { $0 + $1.item.event.byteCount }
                guard
                    all.count > rule.events ?? .max || bytes > rule.bytes ?? .max
                        || rule.age.map({ .seconds(now - live[index].item.time) > $0 }) ?? false
                else { break }
                removed.append(live.remove(at: index))
            }
        }
        while let oldest = live.first, oldest.number <= number,
            live.count > Self.retention.events || .seconds(now - oldest.item.time) > Self.retention.age
        {
            removed.append(live.removeFirst())
        }
    }

    /// - Parameters:
    ///   - make: Makes the log, once it is open.
    ///   - advance: Lets seconds pass.
    package static func run(
        _ subject: Subject, steps: Int, seed: UInt64, advance: (Int64) -> Void
    ) async throws {
        print("seed \(seed)")
        var model = RuleSimulation()
        var random = SeededGenerator(seed: seed)
        let names = [
            "one", "chat/1", "chat/2", "chat/special", "bytes/0", "bytes/1", "old/1", "old/2", "free/1", "free/2",
        ]
        let topics = names.compactMap { try? Topic($0) }
        let begin = try await subject.log.open()
        var newest = begin
        var newestTime: Int64 = 0
        for step in 0..<steps {
            let comment = Comment(rawValue: "step \(step), seed \(seed)")
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                let seconds = Int64.random(in: 0...20, using: &random)
                advance(seconds)
                model.now += seconds
            // A log that starts long after its newest event does not trust the clock at once.
            case 1 where Int.random(in: 0..<5, using: &random) == 0 && model.now - newestTime < 30:
                try await subject.restart?()
            default:
                var event = Event(
                    topic: topics[Int.random(in: 0..<topics.count, using: &random)], data: "\(step)",
                    id: Int.random(in: 0..<4, using: &random) == 0 ? "id \(step)" : nil)
                if Int.random(in: 0..<6, using: &random) == 0 {
                    event.alternates = [topics[Int.random(in: 0..<topics.count, using: &random)]]
                }
                let last = model.count
                let position = try await subject.log.append([event])[0]
                (newest, newestTime) = (position, model.now)
                model.count += 1
                model.live.append((model.count, Item(event: event, position: position, time: model.now)))
                model.trim(through: last)
            }
            try await subject.settle(newest)
            model.trim(through: model.count)
            #expect(subject.size().events == model.live.count, comment)
            #expect(subject.size().bytes == model.live.reduce(0) { $0 + $1.item.event.byteCount }, comment)
            guard step % 3 == 0 else { continue }
            try await model.check(subject.log, topics, begin: begin, &random, comment)
        }
        #expect(model.removed.count > steps / 4)
    }

    private func check(
        _ log: any Log, _ topics: [Topic], begin: Position, _ random: inout SeededGenerator, _ comment: Comment
    ) async throws {
        guard let end = (live + removed).max(by: { $0.number < $1.number })?.item.position else { return }
        let selectors: [Set<TopicSelector>] = [
            [TopicSelector(topics[Int.random(in: 0..<topics.count, using: &random)])], ["chat/{id}"], ["*"],
            [TopicSelector(topics[0]), "bytes/{id}", "old/1"], ["free/{id}"],
        ]
        let after = Int.random(in: 0...count, using: &random)
        let start = after == 0 ? begin : (live + removed).first { $0.number == after }?.item.position ?? begin
        for some in selectors {
            let selection = Selection(selectors: some)
            let expected = live.filter { $0.number > after && selection.contains($0.item.event) }
            let isGap = removed.contains { $0.number > after && selection.contains($0.item.event) }
            var (found, gaps): ([Record], Int) = ([], 0)
            let limit = SliceLimit(events: Int.random(in: 1...8, using: &random))
            let resolution = try await log.resolve(start.text, for: selection)
            if resolution.gap != nil { gaps += 1 }
            var place = resolution.position
            while true {
                let slice = try await log.read(selection, after: place, through: end, limit: limit)
                if let gap = slice.gap {
                    gaps += 1
                    #expect(log.covers(gap, place) && log.covers(slice.end, gap), comment)
                    if let first = slice.records.first?.position {
                        #expect(gap != first && log.covers(first, gap), comment)
                    }
                }
                found += slice.records
                place = slice.end
                if slice.isComplete { break }
            }
            #expect(found.map(\.event) == expected.map(\.item.event), comment)
            #expect(found.map(\.position) == expected.map(\.item.position), comment)
            #expect((gaps > 0) == isGap, "\(some.map(\.text)) after \(after), \(comment)")
        }
        // Resuming from a publisher's id and from a time.
        if let (number, item) = live.randomElement(using: &random) {
            let all = Selection(selectors: ["*"])
            if let id = item.event.id {
                #expect(try await log.resolve(id, for: all) == Resolution(position: item.position), comment)
            }
            let since = try await log.resolve(since: .seconds(now - item.time), for: all)
            let newer = live.filter { $0.item.time >= item.time }
            var (records, place, isComplete): ([Record], Position, Bool) = ([], since.position, false)
            while !isComplete {
                let slice = try await log.read(all, after: place, through: end, limit: SliceLimit(events: 7))
                records += slice.records
                (place, isComplete) = (slice.end, slice.isComplete)
            }
            #expect(records.map(\.event) == newer.map(\.item.event), "since \(number), \(comment)")
        }
    }
}
