// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import MartletSupport

/// The state topic, and what it lacks.
extension StateFold {
    /// A record of the state topic, in its order.
    mutating func load(_ item: StateFormat.Item) {
        switch item {
        case .folded(let version): checkpoints[version.partition] = version
        case .absent(let name, let version):
            stale.remove(Stored(name: name, version: version))
            guard items[name]?.version == version else { return }
            take(name)
            if name.key == nil { book[name.topic] = nil }
        case .state(let name, let version, let content): load(name, version, content)
        }
    }

    private mutating func load(_ name: StateName, _ version: StateVersion, _ content: StateContent) {
        let old = items[name]?.version
        guard old != version else { return }
        if let old {
            let isNewer = version.replaces(old)
            addStale(Stored(name: name, version: isNewer ? old : version))
            guard isNewer else { return }
        }
        switch content {
        case .topic(let entry):
            book[name.topic] = entry
            place(name, Item(version: version, content: .topic, stored: version))
        case .value(let record): place(name, Item(version: version, content: .value(record), stored: version))
        case .removed: place(name, Item(version: version, content: .removed, stored: version))
        }
        trim()
    }

    /// What does not fit in is found by a later node.
    private mutating func addStale(_ stored: Stored) {
        if stale.count < bounds.topics + 2 * bounds.keys { stale.insert(stored) }
    }

    /// The state topic was read: puts everything into the order of the events, which may not be the one of its records.
    mutating func hasLoaded() {
        topics = inOrder(topics)
        values = inOrder(values)
        removed = inOrder(removed)
        for name in values.all {
            if let item = items[name], isGone(item.version, book[name.topic]?.goneThrough) { forget(name) }
        }
    }

    /// Each partition keeps its share of the places.
    private func inOrder(_ names: Recency<StateName>) -> Recency<StateName> {
        let all = names.all.compactMap { name in items[name].map { (name: name, version: $0.version) } }
        var parts = Dictionary(grouping: all, by: \.version.partition)
        for (partition, part) in parts {
            // The last one is taken first.
            parts[partition] = part.sorted { $0.version.progress < $1.version.progress }.reversed()
        }
        return Recency(all.compactMap { parts[$0.version.partition]?.popLast()?.name })
    }

    /// Whether the state topic lacks something that it should be told now.
    ///
    /// - Parameter records: After so many without news, it is told how far the node has read.
    func isDue(after records: Int) -> Bool {
        guard changed.isEmpty, stale.isEmpty else { return true }
        return zip(edges, checkpoints).contains { edge, checkpoint in
            guard edge.stamp != nil else { return false }
            guard let checkpoint else { return true }
            return edge.next - checkpoint.progress.next >= Int64(records)
        }
    }

    /// Takes what has changed, in its order, and how far the node had read then. Once all of it is in the state topic, the
    /// topic has everything up to there.
    mutating func takeChanged() -> (names: [StateName], edges: [Edge]) {
        defer { changed = Recency() }
        return (changed.all, edges)
    }

    /// Names that were taken, and that could not be written.
    mutating func putBack(_ names: some Sequence<StateName>) {
        for name in names where items[name].map({ $0.stored != $0.version }) ?? false { changed.touch(name) }
    }

    /// What the state topic has to say of a name; `nil` if nothing.
    func content(of name: StateName) -> (version: StateVersion, content: StateContent)? {
        guard let item = items[name], item.stored != item.version else { return nil }
        switch item.content {
        case .value(let record): return (item.version, .value(record))
        case .removed: return (item.version, .removed)
        case .topic: return book[name.topic].map { (item.version, .topic($0)) }
        }
    }

    /// The state topic has a record.
    mutating func hasStored(_ stored: Stored) {
        guard let item = items[stored.name] else {
            stale.insert(stored)
            return
        }
        if let old = item.stored, old != stored.version {
            stale.insert(Stored(name: stored.name, version: old))
        }
        items[stored.name]?.stored = stored.version
    }

    /// Takes the records that the state topic should not have any more.
    mutating func takeStale() -> [Stored] {
        defer { stale = [] }
        return stale.filter { items[$0.name]?.stored != $0.version }
    }

    mutating func putBack(stale rest: some Sequence<Stored>) { stale.formUnion(rest) }

    /// The state topic has a checkpoint.
    mutating func hasStored(_ checkpoint: StateVersion) { checkpoints[checkpoint.partition] = checkpoint }
}
#endif
