// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletSupport
import TestSupport
import Testing

@testable import MartletKafka

/// What a node says after the brokers have lost records, without brokers.
@Suite("Records that a Kafka topic has lost")
struct LossTests {
    private let tag = TopicTag(cluster: "c", topic: "t")
    private let selection = Selection.of("a")

    /// A record with the number as its data, and a time that no other record has.
    private func record(_ offset: Int64, _ data: String, partition: Int = 0) -> KafkaRecord {
        let time = 1_790_000_000_000 + Int64(data.utf8.reduce(0) { $0 * 31 + Int($1) })
        return KafkaRecord(
            partition: partition, offset: offset, time: time, stamp: Stamp(ofRecordAt: time),
            content: .init(events: [Event(topic: "a", data: data)]))
    }

    private func state(_ data: String...) -> (state: TopicState, records: [Record]) {
        var state = TopicState(tag, [PartitionWindow(from: 0, low: 0, trimmedTopics: 100)])
        var records: [Record] = []
        for (offset, data) in data.enumerated() {
            records += state.append(record(Int64(offset), data), records: 100, bytes: .max)
        }
        return (state, records)
    }

    private func read(_ state: TopicState, after place: KafkaPlace?, through: KafkaPlace? = nil) -> Slice {
        let through = through ?? state.end
        var reading = TopicReading(nil, after: place, through: through, position: through.position, limit: SliceLimit())
        guard case .done = reading.advance(in: state) else { return Slice(records: [], end: "x", isComplete: false) }
        return reading.slice
    }

    private func place(_ record: Record) throws -> KafkaPlace {
        try #require(KafkaPlace(record.position.text, partitions: 1))
    }

    @Test("Readers behind the loss get one gap, and every event that is there exactly once")
    func rolledBack() throws {
        var (state, before) = state("0", "1", "2", "3", "4")
        let ends = try before.map { try place($0) }
        state.lost([0: (3, 0)], reason: .rolledBack)
        let gap = state.end
        let after = state.append(record(3, "new 3"), records: 100, bytes: .max)
        for (index, end) in ends.enumerated() {
            let slice = read(state, after: end)
            #expect(slice.gapReason == .rolledBack)
            #expect(slice.gap != nil)
            #expect(slice.records.map(\.event.data) == Array(["0", "1", "2", "new 3"].dropFirst(min(index + 1, 3))))
            #expect(state.end.covers(gap) && gap.covers(end) && !end.covers(gap))
        }
        let newest = try place(try #require(after.last))
        #expect(read(state, after: newest).gap == nil)
        #expect(newest.life == 1)
    }

    @Test("A reader that goes to a place from before a loss gets nothing of what came later")
    func throughBefore() throws {
        var (state, before) = state("0", "1", "2", "3", "4")
        let (first, last) = (try place(before[0]), try place(before[4]))
        state.lost([0: (3, 0)], reason: .rolledBack)
        for offset in 3..<6 { _ = state.append(record(Int64(offset), "new \(offset)"), records: 100, bytes: .max) }
        let slice = read(state, after: first, through: last)
        #expect(slice.records.map(\.event.data) == ["1", "2"])
        #expect(slice.end == last.position)
        #expect(slice.gap == nil)
    }

    @Test("Clients that saw lost events get a gap, and those that did not continue")
    func clients() throws {
        var (state, before) = state("0", "1", "2", "3", "4")
        state.lost([0: (3, 0)], reason: .rolledBack)
        for offset in 3..<6 { _ = state.append(record(Int64(offset), "new \(offset)"), records: 100, bytes: .max) }
        for (index, record) in before.enumerated() {
            switch state.check(try place(record)) {
            case .good: #expect(index < 3)
            case .lost(let reason): #expect(index >= 3 && reason == .rolledBack)
            case .ask: Issue.record("everything is in the window")
            }
        }
        let other = KafkaPlace(TopicTag(cluster: "d", topic: "t"), nil, [Progress(next: 0)])
        guard case .lost(.epoch) = state.check(other) else { return #expect(Bool(false)) }
    }

    @Test("Everything follows when the topic was made again")
    func again() throws {
        var (state, before) = state("0", "1", "2")
        state.lost([0: (0, 0)], reason: .epoch)
        _ = state.append(record(0, "new 0"), records: 100, bytes: .max)
        let slice = read(state, after: try place(before[2]))
        #expect(slice.gapReason == .epoch && slice.gap != nil)
        #expect(slice.records.map(\.event.data) == ["new 0"])
        guard case .lost(.epoch) = state.check(try place(before[0])) else { return #expect(Bool(false)) }
    }

    @Test("Many losses are remembered up to a bound, and places keep their order")
    func many() throws {
        var (state, _) = state("0", "1", "2")
        var places = [state.end]
        for number in 0..<40 {
            state.lost([0: (2, 0)], reason: .rolledBack)
            _ = state.append(record(2, "new \(number)"), records: 100, bytes: .max)
            places.append(state.end)
        }
        #expect(state.life == 40)
        for (a, first) in places.enumerated() {
            for (b, second) in places.enumerated() { #expect(first.covers(second) == (a >= b)) }
            let slice = read(state, after: first)
            #expect((slice.gap == nil) == (a == 40))
            #expect(slice.records.map(\.event.data) == (a == 40 ? [] : ["new 39"]))
        }
    }

    @Test("Reading many records takes no longer for each the more there are")
    func growing() {
        // A copy of the window for each record would take minutes.
        var window = PartitionWindow(from: 0, low: 0, trimmedTopics: 100)
        for offset in 0..<Int64(50_000) { _ = window.append(record(offset, "x")) }
        #expect(window.entries.count == 50_000)
        var (state, _) = state()
        for offset in 0..<Int64(50_000) { _ = state.append(record(offset, "x"), records: 100_000, bytes: .max) }
        #expect(state.end.progress[0].next == 50_000)
    }

    @Test("Keys and ids of lost records are forgotten, and those of others are not")
    func keys() {
        var window = PartitionWindow(from: 0, low: 0, trimmedTopics: 100)
        for offset in 0..<4 {
            var record = record(Int64(offset), "\(offset)")
            record.content?.key = ExactText("key \(offset)")
            record.content?.events[0].id = "id \(offset)"
            _ = window.append(record)
        }
        window.forget(from: 2, low: 0)
        #expect(window.accepted(once: ExactText("key 1"))?.offset == 1)
        #expect(window.accepted(once: ExactText("key 2")) == nil)
        #expect(window.offset(ofID: "id 1", for: selection) == 1)
        #expect(window.offset(ofID: "id 2", for: selection) == nil)
        #expect(window.next == 2)
    }

    @Test("A record with a key that was used counts as one without events, also when the first has left the window")
    func repeats() {
        var window = PartitionWindow(from: 0, low: 0, trimmedTopics: 100)
        func append(_ offset: Int64) -> Int {
            var record = record(offset, "\(offset)")
            record.content?.key = ExactText("key")
            let count = window.append(record).events.count
            window.trim(toRecords: 1, bytes: .max)
            return count
        }
        #expect(append(0) == 1)
        #expect(append(1) == 0)
        for offset in 2..<PartitionWindow.repeatDistance + 1 {
            _ = window.append(record(offset, "\(offset)"))
            window.trim(toRecords: 1, bytes: .max)
        }
        #expect(append(PartitionWindow.repeatDistance + 1) == 1)
    }
}
#endif
