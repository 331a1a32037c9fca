// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletSupport
import Testing

@testable import MartletKafka

/// The fold of a node and the records of a state topic, without brokers.
@Suite("What a node writes to a state topic, and what another makes of it")
struct StateFoldTests {
    private let format = StateFormat(tag: TopicTag(cluster: "c", topic: "t"), partitions: 1, limits: Limits())
    private let small = StateFold.Bounds(topics: 3, keys: 4, bytes: 10_000)

    /// The records of a state topic. A record without a value removes its key.
    private typealias Records = [(key: [UInt8], value: [UInt8]?)]

    private func place(_ offset: Int64) -> KafkaPlace {
        KafkaPlace(format.tag, Stamp(ofRecordAt: 1000 + offset), [Progress(next: offset + 1)])
    }

    private func record(_ offset: Int64, _ event: Event) -> Record {
        Record(position: place(offset).position, event: event)
    }

    private func value(_ key: String, _ data: String, _ topic: Topic = "a") -> Event {
        Event(topic: topic, data: data, key: key)
    }

    private func note(_ events: [Event], from offset: Int64 = 0, in fold: inout StateFold) {
        for (index, event) in events.enumerated() { fold.note(record(offset + Int64(index), event), at: .now) }
        let next = offset + Int64(events.count)
        fold.hasRead([.init(next: next, stamp: place(next - 1).stamp)])
    }

    /// What a writer adds in one round.
    private func round(_ fold: inout StateFold) -> Records {
        var records: Records = []
        for stored in fold.takeStale() { records.append((format.key(stored.name, stored.version), nil)) }
        let (names, edges) = fold.takeChanged()
        for name in names {
            guard let (version, content) = fold.content(of: name) else { continue }
            records.append((format.key(name, version), format.value(content)))
            fold.hasStored(.init(name: name, version: version))
        }
        for stored in fold.takeStale() { records.append((format.key(stored.name, stored.version), nil)) }
        for edge in edges {
            guard let stamp = edge.stamp else { continue }
            let checkpoint = StateVersion(partition: 0, progress: Progress(next: edge.next), stamp: stamp)
            records.append((format.foldedKey(0), Array(format.text(checkpoint).utf8)))
            fold.hasStored(checkpoint)
        }
        return records
    }

    /// What is left once the brokers have compacted: of each key, its last record, unless that has no value.
    private func compacted(_ records: Records) -> Records {
        let last = Dictionary(records.enumerated().map { ($1.key, $0) }) { $1 }
        return records.enumerated().filter { last[$1.key] == $0 && $1.value != nil }.map(\.element)
    }

    private func load(_ records: Records, _ bounds: StateFold.Bounds = .init()) -> StateFold {
        var fold = StateFold(bounds)
        for (key, value) in records {
            guard let item = format.read(key: String(decoding: key, as: UTF8.self), value: value) else {
                Issue.record("\(String(decoding: key, as: UTF8.self)) cannot be read")
                continue
            }
            fold.load(item)
        }
        fold.hasLoaded()
        fold.skip(before: fold.checkpoints.map { $0?.progress.next ?? 0 })
        return fold
    }

    private func expectSame(_ a: StateFold, _ b: StateFold, _ comment: Comment? = nil) {
        let (a, b) = (a.present(at: .now), b.present(at: .now))
        #expect(a.values == b.values, comment)
        #expect(a.topics.all == b.topics.all, comment)
    }

    private var story: [Event] {
        var written = value("progress", "7", "job")
        written.writer = TopicWriter("w", epoch: 2)
        return [
            value("x", "1"), value("y", "1"), .end(of: "chat"), value("x", "2"), written, value("y", ""),
            Event(topic: "noise", data: "1"), value("z", "1", "old"), .purge(of: "old"), value("z", "2", "old"),
            value("x", "3"),
        ]
    }

    @Test("A node that reads the state topic knows what the writer knows, whether or not it was compacted")
    func same() {
        for size in [1, 2, 3, 11] {
            var (fold, records) = (StateFold(.init()), Records())
            for start in stride(from: 0, to: story.count, by: size) {
                note(Array(story[start..<min(story.count, start + size)]), from: Int64(start), in: &fold)
                records += round(&fold)
                for records in [records, compacted(records)] {
                    expectSame(load(records), fold, "\(size) at a time, up to \(start)")
                    #expect(load(records).stale.isEmpty)
                }
            }
            #expect(compacted(records).count == 8)
        }
    }

    @Test("A node that died between an event and its record has left nothing undone")
    func died() {
        var whole = StateFold(.init())
        note(story, in: &whole)
        for (first, second) in [(0, 11), (3, 8), (5, 6), (9, 10)] {
            // The writer has said how far it came, wrote some of what follows, and died.
            var (fold, records) = (StateFold(.init()), Records())
            note(Array(story[..<first]), in: &fold)
            records += first > 0 ? round(&fold) : []
            note(Array(story[first..<second]), from: Int64(first), in: &fold)
            let more = round(&fold)
            for count in 0..<more.count {
                for records in [records + more.prefix(count), compacted(records + more.prefix(count))] {
                    var next = load(records)
                    note(story, in: &next)
                    expectSame(next, whole, "\(first) \(second) \(count)")
                    let after = records + round(&next)
                    expectSame(load(after), whole)
                    #expect(compacted(after).count == 8)
                }
            }
        }
    }

    @Test("Records of a node that is late replace nothing, and are swept out")
    func late() {
        var (a, b) = (StateFold(.init()), StateFold(.init()))
        note(Array(story[..<5]), in: &a)
        let slow = round(&a)
        note(Array(story[..<5]), in: &b)
        var records = round(&b)
        note(Array(story[5...]), from: 5, in: &b)
        records += round(&b)
        // All of it comes after the newer records, and after older ones were removed; only the checkpoint comes in between.
        for records in [records + slow, Array(records.dropLast() + slow.dropLast() + records.suffix(1))] {
            for records in [records, compacted(records)] {
                var next = load(records)
                note(Array(story[5...]), from: 5, in: &next)
                expectSame(next, b)
                expectSame(load(compacted(records + round(&next))), b)
                #expect(next.stale.isEmpty)
            }
        }
    }

    @Test("Events that are read again change nothing, and events without a key or a life leave no record")
    func again() {
        var fold = StateFold(.init())
        note(story, in: &fold)
        var next = load(round(&fold))
        note(story, in: &next)
        #expect(!next.isDue(after: 1))
        let noise = (0..<20).map { Event(topic: "noise", data: "\($0)") }
        note(noise, from: 11, in: &next)
        #expect(next.isDue(after: 20) && !next.isDue(after: 21))
        #expect(round(&next).count == 1)
    }

    @Test("Topics, values and removed keys are bounded, the oldest go first, and leave the state topic")
    func bounds() throws {
        var (fold, records) = (StateFold(small), Records())
        var events: [Event] = []
        for number in 0..<4 { events.append(.end(of: try Topic("ended/\(number)"))) }
        for number in 0..<5 { events.append(value("k\(number)", "\(number)")) }
        for (index, event) in events.enumerated() {
            note([event], from: Int64(index), in: &fold)
            records += round(&fold)
            #expect(fold.counts.topics == min(index + 1, 3))
            #expect(fold.counts.values == min(max(0, index - 3), 4))
        }
        for number in 1..<5 { note([value("k\(number)", "")], from: 9 + Int64(number), in: &fold) }
        #expect(fold.counts == (3, 0, 4))
        note([value("k9", "9"), value("k9", "")], from: 14, in: &fold)
        #expect(fold.counts == (3, 0, 4))
        records += round(&fold)
        #expect(compacted(records).count == 3 + 4 + 1)
        for records in [records, compacted(records)] {
            expectSame(load(records, small), fold)
            #expect(load(records, small).counts == (3, 0, 4))
            // A node with smaller bounds keeps what has changed last.
            let less = load(records, .init(topics: 2, keys: 2, bytes: 100))
            #expect(less.present(at: .now).topics.all.map(\.topic) == ["ended/2", "ended/3"])
            #expect(less.counts == (2, 0, 2))
        }
    }

    @Test("Bytes of values are bounded, and one value is kept whatever its size is")
    func bytes() {
        var bounds = small
        let size = value("k0", "1").byteCount
        bounds.bytes = 2 * size
        var fold = StateFold(bounds)
        note([value("k0", "1"), value("k1", "1")], in: &fold)
        #expect(fold.counts.values == 2 && fold.byteCount == 2 * size)
        note([value("k2", "11")], from: 2, in: &fold)
        #expect(fold.counts.values == 1 && fold.byteCount == size + 1)
        note([value("k3", String(repeating: "x", count: 3 * size))], from: 3, in: &fold)
        #expect(fold.present(at: .now).values.map(\.event.key) == ["k3"])
    }

    @Test("A topic that has expired keeps no values, also if its events are read later")
    func expired() {
        var event = value("k", "1")
        event.topicExpires = WallTime(milliseconds: 5000)
        var fold = StateFold(.init())
        fold.note(record(0, event), at: WallTime(milliseconds: 1000))
        fold.note(record(1, value("l", "1")), at: WallTime(milliseconds: 4000))
        #expect(fold.counts.values == 2)
        #expect(fold.present(at: WallTime(milliseconds: 4999)).values.count == 2)
        #expect(fold.present(at: WallTime(milliseconds: 5000)).values.isEmpty)
        fold.note(record(2, value("m", "1")), at: WallTime(milliseconds: 6000))
        #expect(fold.present(at: WallTime(milliseconds: 7000)).values.map(\.event.key) == ["m"])
        #expect(fold.present(at: .now).topics["a"]?.expires == nil)
    }

    @Test("What lost events have said is forgotten, and the same offsets count again")
    func lost() {
        var fold = StateFold(.init())
        note([value("x", "1"), value("y", "1"), .end(of: "chat"), value("x", "2"), .end(of: "chat/2")], in: &fold)
        var records = round(&fold)
        fold.lost(0, from: 2)
        #expect(fold.isDue(after: 100))
        #expect(fold.present(at: .now).values.map(\.event.key) == ["y"])
        #expect(fold.present(at: .now).topics.isEmpty)
        let other = KafkaPlace(format.tag, Stamp(ofRecordAt: 77), [Progress(next: 3)])
        for topic in ["chat", "chat/2"] as [Topic] {
            fold.note(Record(position: other.position, event: .end(of: topic)), at: .now)
        }
        fold.hasRead([.init(next: 3, stamp: other.stamp)])
        records += round(&fold)
        for records in [records, compacted(records)] {
            expectSame(load(records), fold)
            let topics = load(records).present(at: .now).topics
            #expect(topics["chat"]?.end == other.position && topics["chat/2"]?.end == other.position)
        }
    }

    @Test("Each partition keeps its own order, whatever the order of the records is")
    func partitions() throws {
        let format = StateFormat(tag: TopicTag(cluster: "c", topic: "t"), partitions: 2, limits: Limits())
        var fold = StateFold(.init(), partitions: 2)
        for (partition, offset) in [(0, 5), (1, 3), (0, 2), (1, 1), (0, 9)] {
            var progress = [Progress(next: 0), Progress(next: 0)]
            progress[partition] = Progress(next: Int64(offset + 1))
            let place = KafkaPlace(format.tag, Stamp(ofRecordAt: 9), partition: partition, progress)
            let event = value("\(partition) \(offset)", "1")
            let version = try #require(StateVersion(place))
            fold.load(
                .state(
                    StateName(topic: "a", key: event.key.map(ExactText.init)), version,
                    .value(Record(position: place.position, event: event))))
        }
        fold.hasLoaded()
        #expect(fold.present(at: .now).values.map(\.event.key) == ["0 2", "1 1", "0 5", "1 3", "0 9"])
        #expect(fold.versions(of: 1).map(\.offset) == [1, 3])
    }

    @Test("Purging a topic takes no longer the more keys other topics have")
    func purging() {
        var fold = StateFold(.init())
        for number in 0..<10_000 { fold.note(record(Int64(number), value("k\(number)", "1", "other")), at: .now) }
        // A look at each key for each purge would take long.
        for number in 0..<4000 {
            fold.note(record(10_000 + Int64(2 * number), value("k", "1")), at: .now)
            fold.note(record(10_001 + Int64(2 * number), .purge(of: "a")), at: .now)
        }
        #expect(fold.counts.values == 10_000)
    }
}
#endif
