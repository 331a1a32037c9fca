// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletSupport

/// What the events of the topic say of topics and keys, folded in their order, and what the state topic has of it. A value.
///
/// Topics, values, and keys whose value was removed are bounded. Beyond a bound, the one that has changed least recently
/// is forgotten, here and in the state topic.
struct StateFold: Sendable {
    struct Bounds: Equatable, Sendable {
        var topics = TopicBook.defaultCapacity
        var keys = 100_000
        var bytes = 64 * 1024 * 1024
    }

    /// How far a partition was read.
    struct Edge: Equatable, Sendable {
        /// The offset of the next record.
        var next: Int64
        /// The stamp of the record in front of it; `nil` if it is not known.
        var stamp: Stamp?
    }

    /// A record of the state topic.
    struct Stored: Hashable, Sendable {
        var name: StateName
        var version: StateVersion
    }

    struct Item {
        var version: StateVersion
        var content: Content
        /// The version that the state topic has; `nil` if it has none.
        var stored: StateVersion?
    }

    enum Content {
        case topic
        case value(Record)
        case removed
    }

    let bounds: Bounds
    /// How many the topic of the events has.
    private let partitions: Int
    var book = TopicBook(capacity: .max)
    var items: [StateName: Item] = [:]
    /// Of each topic, the keys that have a value.
    private var keys: [Topic: Set<ExactText>] = [:]
    var topics = Recency<StateName>()
    var values = Recency<StateName>()
    var removed = Recency<StateName>()
    private(set) var byteCount = 0

    /// What has changed and is not in the state topic.
    var changed = Recency<StateName>()
    /// Records of the state topic that say nothing that counts.
    var stale: Set<Stored> = []
    /// For each partition, how far the node has read.
    private(set) var edges: [Edge] = []
    /// For each partition, up to where the state topic was told to have everything.
    var checkpoints: [StateVersion?]
    /// For each partition, the events in front of this offset are folded already.
    private var foldedBefore: [Int64]

    init(_ bounds: Bounds, partitions: Int = 1) {
        self.bounds = bounds
        self.partitions = partitions
        checkpoints = Array(repeating: nil, count: partitions)
        foldedBefore = Array(repeating: 0, count: partitions)
    }

    /// The numbers of topics that are remembered, of values, and of keys without one.
    var counts: (topics: Int, values: Int, removed: Int) { (topics.count, values.count, removed.count) }

    // MARK: Events

    /// The node has read an event.
    ///
    /// - Parameter time: When it was published.
    mutating func note(_ record: Record, at time: WallTime) {
        let event = record.event
        let concernsTopic = event.changesTopic || book[event.topic]?.expires != nil
        guard concernsTopic || event.key != nil,
            let version = KafkaPlace(record.position.text, partitions: partitions).flatMap(StateVersion.init),
            version.offset >= foldedBefore[version.partition]
        else { return }
        if concernsTopic { noteTopic(record, version, time) }
        if let key = event.key { noteValue(record, StateName(topic: event.topic, key: ExactText(key)), version) }
    }

    private mutating func noteTopic(_ record: Record, _ version: StateVersion, _ time: WallTime) {
        let topic = record.event.topic
        let name = StateName(topic: topic, key: nil)
        guard items[name].map({ version.replaces($0.version) }) ?? true else { return }
        let before = book[topic]
        let change = book.fold(record.event, at: record.position, now: time)
        guard book[topic] != before else { return }
        set(name, .topic, version)
        switch change {
        case .purged, .renewed: removeValues(of: topic, upTo: version)
        case .none, .ended: break
        }
    }

    private mutating func noteValue(_ record: Record, _ name: StateName, _ version: StateVersion) {
        guard items[name].map({ version.replaces($0.version) }) ?? true else { return }
        if !record.event.purgesTopic, isGone(version, book[name.topic]?.goneThrough) { return }
        set(name, record.event.data.isEmpty ? .removed : .value(record), version)
    }

    private mutating func removeValues(of topic: Topic, upTo version: StateVersion) {
        for key in keys[topic] ?? [] {
            let name = StateName(topic: topic, key: key)
            if let item = items[name], version.replaces(item.version) { forget(name) }
        }
    }

    /// Whether an event is one of those that are gone up to a position.
    func isGone(_ version: StateVersion, _ position: Position?) -> Bool {
        guard let position, let place = KafkaPlace(position.text, partitions: partitions) else { return false }
        return place.progress[version.partition] >= version.progress
    }

    private mutating func set(_ name: StateName, _ content: Content, _ version: StateVersion) {
        place(name, Item(version: version, content: content, stored: items[name]?.stored))
        changed.touch(name)
        trim()
    }

    /// Puts an item in the place of the one with this name.
    mutating func place(_ name: StateName, _ item: Item) {
        take(name)
        items[name] = item
        switch item.content {
        case .topic: topics.touch(name)
        case .removed: removed.touch(name)
        case .value(let record):
            values.touch(name)
            byteCount += record.event.byteCount
            if let key = name.key { keys[name.topic, default: []].insert(key) }
        }
    }

    /// Removes an item from everything but the book.
    @discardableResult
    mutating func take(_ name: StateName) -> Item? {
        guard let item = items.removeValue(forKey: name) else { return nil }
        switch item.content {
        case .topic: topics.remove(name)
        case .removed: removed.remove(name)
        case .value(let record):
            values.remove(name)
            byteCount -= record.event.byteCount
            if let key = name.key { keys[name.topic]?.remove(key) }
            if keys[name.topic]?.isEmpty ?? false { keys[name.topic] = nil }
        }
        return item
    }

    mutating func forget(_ name: StateName) {
        guard let item = take(name) else { return }
        if name.key == nil { book[name.topic] = nil }
        changed.remove(name)
        if let version = item.stored { stale.insert(Stored(name: name, version: version)) }
    }

    mutating func trim() {
        while topics.count > bounds.topics, let oldest = topics.popOldest() { forget(oldest) }
        while removed.count > bounds.keys, let oldest = removed.popOldest() { forget(oldest) }
        while values.count > bounds.keys || byteCount > bounds.bytes && values.count > 1,
            let oldest = values.popOldest()
        {
            forget(oldest)
        }
    }

    // MARK: Partitions

    /// How far the node has read each partition.
    mutating func hasRead(_ edges: [Edge]) { self.edges = edges }

    /// Whether everything up to a place is folded.
    func covers(_ place: KafkaPlace) -> Bool {
        edges.count == place.progress.count
            && zip(edges, place.progress).allSatisfy { edge, progress in
                edge.next >= progress.next + (progress.part > 0 ? 1 : 0)
            }
    }

    /// The events in front of these offsets are folded already.
    mutating func skip(before offsets: [Int64]) { foldedBefore = offsets }

    /// What the state topic says of how far it goes does not hold for a partition.
    mutating func noCheckpoint(_ partition: Int) { checkpoints[partition] = nil }

    /// The records of a partition from an offset on are lost, and what they said.
    mutating func lost(_ partition: Int, from offset: Int64) {
        for (name, item) in items where item.version.partition == partition && item.version.offset >= offset {
            forget(name)
        }
        foldedBefore[partition] = min(foldedBefore[partition], offset)
        noCheckpoint(partition)
    }

    /// The versions that are of a partition, in their order, each once.
    func versions(of partition: Int) -> [StateVersion] {
        Set(items.values.lazy.map(\.version).filter { $0.partition == partition }).sorted { $0.progress < $1.progress }
    }

    // MARK: What a hub asks for

    /// - Throws: ``MartletError`` if a topic has ended, or its writer was replaced.
    func check(_ events: [Event]) throws { try book.check(events) }

    func present(at now: WallTime) -> Present {
        let records = values.all.compactMap { name -> Record? in
            guard let item = items[name], case .value(let record) = item.content,
                !isGone(item.version, book[name.topic]?.gone(at: now))
            else { return nil }
            return record
        }
        let entries = topics.all.compactMap { book[$0.topic] }
        return Present(topics: TopicBook(entries, capacity: bounds.topics), values: records)
    }
}
#endif
