// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// All feeds of this node and the window that they share: the state that publishing and subscribing meet in. The hub
/// keeps it behind one lock and does everything that it returns outside that lock.
///
/// It finds the feeds of exact topics itself. Patterns are looked for outside the lock, by a ``PatternIndex``, which is
/// told of feeds that are opened and closed. With the lock held an event takes as many steps as it has topics and reaches
/// feeds, and a subscription as many as it names topics.
struct FeedTable {
    /// The end of the log as this node knows it.
    private(set) var tail: Mark
    /// The feeds, each at the index of its id.
    private var feeds: [Feed?] = []
    private var generations: [UInt32] = []
    private var free: [Int] = []
    private var ids: [Selection: FeedID] = [:]
    /// The feeds that ask for a topic by its name.
    private var topics: [Topic: FeedList] = [:]
    private var census: TemplateCensus
    private var changes = IndexChanges()
    /// How many feeds ask for patterns.
    private var patternFeeds = 0
    /// How many feeds may see some private events, and how many all.
    private var grantedFeeds = 0
    private var seeingFeeds = 0
    private var window: Window
    private var progress = ShardProgress()
    /// How many groups of events there were.
    private var group: UInt64 = 0
    /// Which topics have ended, expire, or have a writer.
    private(set) var book: TopicBook
    /// The current value of each key.
    private(set) var values: StateTable
    var slowRules: SlowRules

    /// The memory of a frame in every feed that holds it; an estimate.
    static let bytesPerFeed = 48

    /// How many times topics are held against selectors with the lock held, at most: against those of feeds that were
    /// opened while the events were looked up. Where it would be more, these feeds read the events from the log.
    private static let mostMatches = 256

    /// - Parameters:
    ///   - templatesAlike: See ``Limits/templatesAlike``.
    ///   - present: What is so as of the tail.
    init(
        tail: Position, windowBytes: Int, templatesAlike: Int = TemplateCensus.defaultMostAlike,
        present: Present = Present(), stateKeys: Int = 100_000, stateBytes: Int = 64 * 1024 * 1024,
        rememberedTopics: Int = TopicBook.defaultCapacity, slowRules: SlowRules = SlowRules()
    ) {
        self.slowRules = slowRules
        book = TopicBook(present.topics.all, capacity: rememberedTopics)
        values = StateTable(keys: stateKeys, bytes: stateBytes)
        var sequence = SequenceNumber.zero
        for record in present.values {
            sequence = sequence.next
            values.set(Frame(record), at: sequence)
        }
        self.tail = Mark(sequence: sequence, position: tail)
        self.window = Window(capacity: windowBytes)
        self.census = TemplateCensus(mostAlike: templatesAlike)
    }

    var feedCount: Int { ids.count }
    var selectorCount: Int { topics.count + census.count }
    /// Whether any feed may see private events.
    var showsPrivateEvents: Bool { grantedFeeds > 0 || seeingFeeds > 0 }
    var windowByteCount: Int { window.byteCount }
    /// How many bytes of frames the slowest shard has not written yet.
    var lag: Int { progress.slowest.map(window.byteCount(after:)) ?? 0 }

    /// Whether only the index knows all feeds that what the node has read from the log reaches.
    func needsIndex(for slice: Slice) -> Bool {
        patternFeeds > 0 || grantedFeeds > 0 && slice.records.contains { $0.event.isPrivate }
    }

    /// Takes the changes that the index does not know yet.
    mutating func takeChanges() -> IndexChanges {
        defer { changes = IndexChanges() }
        return changes
    }

    /// Whether the index is to be told of changes before there is an event: `true` once.
    mutating func shouldTellIndex() -> Bool { changes.haveBecomeMany() }

    /// Numbers what the node has read from the log and gives it to the feeds that select it.
    ///
    /// - Parameters:
    ///   - routes: The result of the index for each event; none where it is not needed.
    ///   - time: When the node had read it.
    /// - Returns: The listeners to call, each with its feeds that have grown.
    mutating func append(
        _ slice: Slice, routes: [PatternIndex.Route] = [], time: ContinuousClock.Instant = .now
    ) -> [(listener: any FeedListener, feeds: [FeedID])] {
        let before = tail.sequence
        group += 1
        var grown: [FeedID] = []
        if let gap = slice.gap {
            // The log lost events before this node had read them.
            tail = Mark(sequence: tail.sequence.next, position: gap)
            for id in ids.values { restart(id, &grown) }
        }
        let late = lateFeeds(for: slice)
        let areFew = late.isEmpty || matchCount(of: late, with: slice) <= Self.mostMatches
        for (number, record) in slice.records.enumerated() {
            let route = routes.isEmpty ? PatternIndex.Route() : routes[number]
            append(record, route, areFew ? late : [:], time: time, &grown)
        }
        tail.position = slice.end
        if !areFew { for id in late.keys { restart(id, &grown) } }
        return tell(grown, before: before)
    }

    /// The feeds that were opened since the events were looked up, as far as the look-up would concern them.
    private func lateFeeds(for slice: Slice) -> [FeedID: Selection] {
        guard !changes.joining.isEmpty, !slice.records.isEmpty else { return [:] }
        let isPublic = !slice.records.contains { $0.event.isPrivate }
        return changes.joining.filter { $0.value.hasPatterns || !isPublic }
    }

    /// How many times a topic is held against a selector to find the feeds that select events.
    private func matchCount(of feeds: [FeedID: Selection], with slice: Slice) -> Int {
        let selectors = feeds.values.reduce(0) { $0 + 1 + $1.patternCount }
        return slice.records.reduce(0) { $0 + 1 + $1.event.alternates.count } * selectors
    }

    /// Gives the feeds that select them events that are in no log. They stand at the tail: a client that resumes from one
    /// resumes from what was read of the log before.
    mutating func inject(
        _ events: [Event], routes: [PatternIndex.Route]
    ) -> [(listener: any FeedListener, feeds: [FeedID])] {
        let before = tail.sequence
        let now = ContinuousClock.now
        group += 1
        var grown: [FeedID] = []
        for (event, route) in zip(events, routes) {
            append(Record(position: tail.position, event: event), route, time: now, isAnnounced: true, &grown)
        }
        return tell(grown, before: before)
    }

    private mutating func append(
        _ record: Record, _ route: PatternIndex.Route, _ late: [FeedID: Selection] = [:],
        time: ContinuousClock.Instant, isAnnounced: Bool = false, _ grown: inout [FeedID]
    ) {
        tail = Mark(sequence: tail.sequence.next, position: record.position)
        if !isAnnounced, book.concerns(record.event) { note(record) }
        let reached = reached(by: record.event, route, late)
        guard !record.event.purgesTopic else {
            // Those that are behind must not find in memory what is gone.
            for id in reached { restart(id, &grown) }
            return
        }
        let isValue = record.event.key != nil && !isAnnounced
        guard !reached.isEmpty || isValue else { return }
        let frame = Frame(record, time: time, isAnnounced: isAnnounced)
        if isValue, let old = values.set(frame, at: tail.sequence),
            slowRules.latest?.selects(record.event.topic) == true,
            record.event.replaces(old.record.event)
        {
            old.supersede()
        }
        guard !reached.isEmpty else { return }
        for id in reached {
            feeds[id.index]?.append(Feed.Entry(sequence: tail.sequence, frame: frame))
            if feeds[id.index]?.isReachedFirst(in: group) == true { grown.append(id) }
        }
        let byteCount = frame.byteCount + reached.count * Self.bytesPerFeed
        window.append(Window.Item(sequence: tail.sequence, byteCount: byteCount, feeds: reached))
        while let dropped = window.popOverflow() { drop(dropped) }
    }

    /// Takes note of what an event says about its topic.
    private mutating func note(_ record: Record) {
        let topic = record.event.topic
        switch book.fold(record.event, at: record.position, now: record.time ?? .now) {
        case .none: break
        case .ended: recountOpenTopics(ofFeedsWith: topic)
        case .renewed:
            recountOpenTopics(ofFeedsWith: topic)
            values.remove(topic)
        case .purged: values.remove(topic)
        }
    }

    /// Each of the feeds counts again when one of its cursors takes a step. To do so here would take as many steps as all
    /// of the feeds have topics, with the lock held.
    private mutating func recountOpenTopics(ofFeedsWith topic: Topic) {
        for id in topics[topic]?.feeds ?? ShortList() { feeds[id.index]?.mustCountTopics = true }
    }

    /// Counts again: topics end, expire, and are forgotten.
    private mutating func countOpenTopics(of id: FeedID) {
        guard let selection = feeds[id.index]?.selection else { return }
        let count = openTopics(of: selection)
        feeds[id.index]?.openTopics = count
        feeds[id.index]?.mustCountTopics = false
    }

    /// How many topics of a selection have not ended; -1 if it has patterns.
    private func openTopics(of selection: Selection) -> Int32 {
        guard !selection.hasPatterns else { return -1 }
        guard !book.isEmpty else { return Int32(selection.topics.count) }
        return Int32(selection.topics.count { book.end(of: $0) == nil })
    }

    /// The topics of a selection that have ended.
    func ends(of selection: Selection) -> EndedTopics {
        var ends = EndedTopics()
        guard !book.isEmpty else { return ends }
        let topics = selection.topics
        for topic in topics {
            guard let position = book.end(of: topic) else { continue }
            ends.topics.append(topic)
            ends.positions.append(position)
        }
        ends.areAll = !selection.hasPatterns && ends.topics.count == topics.count
        return ends
    }

    /// Whether all topics of a selection have expired.
    func isExpired(_ selection: Selection, now: WallTime) -> Bool {
        guard !book.isEmpty, !selection.hasPatterns else { return false }
        return selection.topics.allSatisfy { book[$0]?.isOver(at: now) ?? false }
    }

    /// The next values of a selection, as ``StateTable/slice(of:after:through:limit:now:)`` has them, as far as they are still
    /// there for readers.
    func values(
        of selection: Selection, after: SequenceNumber, through: SequenceNumber, limit: SliceLimit,
        covers: (Position, Position) -> Bool
    ) -> (values: [StateTable.Value], end: SequenceNumber) {
        let now = WallTime.now
        var slice = values.slice(of: selection, after: after, through: through, limit: limit, now: now)
        if hasGoneTopics { slice.values.removeAll { !isCurrent($0.frame.record, now: now, covers: covers) } }
        return slice
    }

    /// Whether any event was purged, or has expired with its topic.
    var hasGoneTopics: Bool { book.hasGoneTopics }

    /// Whether an event in history is still there for readers.
    func isCurrent(_ record: Record, now: WallTime, covers: (Position, Position) -> Bool) -> Bool {
        if record.event.isExpired(at: now) { return false }
        guard let entry = book[record.event.topic], let gone = entry.gone(at: now), !record.event.purgesTopic else {
            return true
        }
        // The end of a topic that was purged stays.
        if record.event.endsTopic, !entry.isOver(at: now), let end = entry.end { return covers(record.position, end) }
        return !covers(gone, record.position)
    }

    /// Whether topics of a selection have lost events behind a position, because they have expired or were purged.
    func hasLost(
        _ selection: Selection, after position: Position, now: WallTime, covers: (Position, Position) -> Bool
    ) -> Bool {
        func hasLost(_ entry: TopicBook.Entry) -> Bool { entry.gone(at: now).map { !covers(position, $0) } ?? false }
        if selection.topics.contains(where: { book[$0].map(hasLost) ?? false }) { return true }
        guard selection.hasPatterns else { return false }
        // To compare all with many patterns would take too long.
        return book.count * selection.patternCount > Self.mostLookedAt
            || book.all.contains { selection.selects($0.topic) && hasLost($0) }
    }

    private static let mostLookedAt = 16_384

    /// The events of a selection that end topics, as far as the topics are named. Those behind the position come through
    /// the feed.
    private func endRecords(
        of selection: Selection, through position: Position, covers: (Position, Position) -> Bool
    ) -> [Record] {
        guard !book.isEmpty else { return [] }
        return selection.topics.compactMap { topic in
            guard let end = book.end(of: topic), covers(position, end) else { return nil }
            return Record(position: end, event: .end(of: topic))
        }
    }

    /// Reads values for a newcomer.
    private func read(
        _ selection: Selection, after: SequenceNumber, through mark: Mark, _ opening: Cursor.Opening,
        limit: SliceLimit, covers: (Position, Position) -> Bool
    ) -> Step {
        var slice = (values: [] as [StateTable.Value], end: mark.sequence)
        if opening == .values {
            slice = values(of: selection, after: after, through: mark.sequence, limit: limit, covers: covers)
        }
        guard slice.end >= mark.sequence else {
            return .values(slice.values, next: .values(after: slice.end, through: mark, opening), ends: [])
        }
        return .values(
            slice.values, next: .at(mark), ends: endRecords(of: selection, through: mark.position, covers: covers))
    }

    /// The listeners of feeds that have grown.
    private mutating func tell(
        _ grown: [FeedID], before: SequenceNumber
    ) -> [(listener: any FeedListener, feeds: [FeedID])] {
        let calls = listeners(of: grown)
        for (listener, _) in calls where listener.holdsUpPublishers {
            progress.tell(ObjectIdentifier(listener), before: before, last: tail.sequence)
        }
        return calls
    }

    /// The feeds that select an event: all those of its topics, each once, as far as they may see it.
    private func reached(by event: Event, _ route: PatternIndex.Route, _ late: [FeedID: Selection]) -> [FeedID] {
        var reached = topics[event.topic].map { Array($0.feeds) } ?? []
        if event.isPrivate { reached = reached.filter { sees($0, route.grants) } }
        guard !event.alternates.isEmpty || !route.feeds.isEmpty || !late.isEmpty else { return reached }
        // Some may have been closed since they were looked up.
        let routed = route.feeds.allSatisfy { isOpen($0) } ? route.feeds : route.feeds.filter { isOpen($0) }
        guard !event.alternates.isEmpty || !reached.isEmpty || !late.isEmpty else { return routed }
        var seen = Set(reached)
        for topic in event.alternates {
            for feed in topics[topic]?.feeds ?? ShortList() where !event.isPrivate || sees(feed, route.grants) {
                if seen.insert(feed).inserted { reached.append(feed) }
            }
        }
        for feed in routed where seen.insert(feed).inserted { reached.append(feed) }
        for (feed, selection) in late where selection.contains(event) && seen.insert(feed).inserted {
            reached.append(feed)
        }
        return reached
    }

    /// Whether a feed may see a private event that some grants let see.
    private func sees(_ feed: FeedID, _ grants: Set<TopicSelector>) -> Bool {
        guard let selection = feeds[feed.index]?.selection else { return false }
        switch selection.sight {
        case .none: return false
        case .granted: return !selection.grants.isDisjoint(with: grants)
        case .all: return true
        }
    }

    private mutating func drop(_ item: Window.Item) {
        for id in item.feeds {
            guard let place = place(of: id), feeds[place]?.entries.first?.sequence == item.sequence else { continue }
            feeds[place]?.dropFirst()
        }
    }

    /// A shard has written everything up to a number to every subscriber that can take it.
    mutating func reach(_ shard: any FeedListener, _ sequence: SequenceNumber) {
        progress.reach(ObjectIdentifier(shard), sequence)
    }

    /// Has a feed start again at the end of what this node has read: its subscribers ask the log what came before.
    private mutating func restart(_ id: FeedID, _ grown: inout [FeedID]) {
        for entry in feeds[id.index]?.entries ?? [] { window.release(entry.sequence) }
        feeds[id.index]?.restart(at: tail)
        if feeds[id.index]?.isReachedFirst(in: group) == true { grown.append(id) }
    }

    /// The listeners of all feeds.
    func allListeners() -> [(listener: any FeedListener, feeds: [FeedID])] { listeners(of: Array(ids.values)) }

    private func listeners(of grown: [FeedID]) -> [(listener: any FeedListener, feeds: [FeedID])] {
        var calls: [(listener: any FeedListener, feeds: [FeedID])] = []
        var places: [ObjectIdentifier: Int] = [:]
        for id in grown {
            for (listener, _) in feeds[id.index]?.listeners ?? ShortList() {
                // Most feeds in a row have the same listener.
                if calls.last?.listener === listener {
                    calls[calls.count - 1].feeds.append(id)
                    continue
                }
                let key = ObjectIdentifier(listener)
                if let place = places[key] {
                    calls[place].feeds.append(id)
                } else {
                    places[key] = calls.count
                    calls.append((listener, [id]))
                }
            }
        }
        return calls
    }

    /// Joins the feed of a selection, which keeps everything from now on until ``close(_:)``.
    ///
    /// - Throws: ``MartletError`` where there are too many templates like those of the selection.
    mutating func open(_ selection: Selection) throws(MartletError) -> FeedID {
        let known = ids[selection]
        let id = if let known { known } else { try make(selection) }
        if known != nil, !book.isEmpty { countOpenTopics(of: id) }
        feeds[id.index]?.users += 1
        return id
    }

    private mutating func make(_ selection: Selection) throws(MartletError) -> FeedID {
        try census.insert(selection.patterns)
        let place = free.popLast() ?? feeds.count
        if place == feeds.count {
            feeds.append(nil)
            generations.append(0)
        }
        generations[place] &+= 1
        let id = FeedID(index: place, generation: generations[place])
        var feed = Feed(id: id, selection: selection, coveredFrom: tail)
        feed.openTopics = openTopics(of: selection)
        feeds[place] = feed
        ids[selection] = id
        for topic in selection.topics { topics[topic, default: FeedList()].append(id) }
        if isIndexed(selection) { changes.join(id, selection) }
        count(selection, by: 1)
        return id
    }

    /// Whether the index has to know of feeds of a selection.
    private func isIndexed(_ selection: Selection) -> Bool { selection.hasPatterns || selection.sight == .granted }

    private mutating func count(_ selection: Selection, by difference: Int) {
        if selection.hasPatterns { patternFeeds += difference }
        switch selection.sight {
        case .none: break
        case .granted: grantedFeeds += difference
        case .all: seeingFeeds += difference
        }
    }

    mutating func keep(_ id: FeedID) {
        if let place = place(of: id) { feeds[place]?.users += 1 }
    }

    /// Leaves a feed. With its last user the feed and all it holds are freed.
    ///
    /// - Returns: Whether the feed was freed.
    @discardableResult
    mutating func close(_ id: FeedID) -> Bool {
        guard let place = place(of: id) else { return false }
        feeds[place]?.users -= 1
        guard let feed = feeds[place], feed.users == 0 else { return false }
        for entry in feed.entries { window.release(entry.sequence) }
        for topic in feed.selection.topics {
            topics[topic]?.remove(id)
            if topics[topic]?.isEmpty == true { topics[topic] = nil }
        }
        census.remove(feed.selection.patterns)
        if isIndexed(feed.selection) { changes.leave(id, feed.selection) }
        count(feed.selection, by: -1)
        ids[feed.selection] = nil
        feeds[id.index] = nil
        free.append(id.index)
        return true
    }

    /// The open feeds among so many places.
    ///
    /// - Returns: The feeds, and the place behind them; `nil` if there are no further ones.
    func openFeeds(from start: Int, places: Int) -> (feeds: [(feed: FeedID, selection: Selection)], next: Int?) {
        guard start < feeds.count else { return ([], nil) }
        let end = min(start + places, feeds.count)
        return (feeds[start..<end].compactMap { $0.map { ($0.id, $0.selection) } }, end < feeds.count ? end : nil)
    }

    mutating func add(_ listener: any FeedListener, to id: FeedID) {
        if let place = place(of: id) { feeds[place]?.add(listener) }
    }

    mutating func remove(_ listener: any FeedListener, from id: FeedID) {
        if let place = place(of: id) { feeds[place]?.remove(listener) }
    }

    mutating func step(
        _ id: FeedID, _ cursor: Cursor, limit: SliceLimit, covers: (Position, Position) -> Bool
    ) -> Step {
        guard let place = place(of: id) else { return .caughtUp(tail) }
        if feeds[place]?.mustCountTopics == true { countOpenTopics(of: id) }
        if case .values(let after, let mark, let opening) = cursor, let selection = feeds[place]?.selection {
            return read(selection, after: after, through: mark, opening, limit: limit, covers: covers)
        }
        let step =
            feeds[place]?.step(cursor, tail: tail, limit: limit, covers: covers, skips: slowRules.skips)
            ?? .caughtUp(tail)
        guard hasGoneTopics, case .deliver(let entries, let mark, let isLast) = step else { return step }
        let now = WallTime.now
        var current = ShortList<Feed.Entry>()
        for entry in entries where entry.frame.isAnnounced || isCurrent(entry.frame.record, now: now, covers: covers) {
            current.append(entry)
        }
        return .deliver(current, mark: mark, isLast: isLast)
    }

    func isOpen(_ id: FeedID) -> Bool { place(of: id) != nil }

    /// Where a feed is; `nil` if it is gone.
    private func place(of id: FeedID) -> Int? {
        feeds.indices.contains(id.index) && feeds[id.index]?.id == id ? id.index : nil
    }
}
