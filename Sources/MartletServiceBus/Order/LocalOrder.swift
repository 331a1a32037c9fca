// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import DequeModule
import Martlet
import MartletSupport

/// The messages in the history of this node, in the order in which it has stored them: an index in memory that leads
/// from a ``BusPlace`` to an offset and back. A value.
///
/// A message takes about 50 bytes, and 24 more if it has an idempotency key.
struct LocalOrder: Sendable {
    /// A message as it is stored.
    struct Message: Sendable {
        /// The offset of its first event.
        var first: UInt64
        var count: Int
        var name: MessageName?
        /// The idempotency key.
        var key: KeyHash?
    }

    private struct Entry {
        var first: UInt64
        var name: MessageName?
    }

    /// The messages of one publisher, in the order in which they were stored, which is that of their numbers.
    private struct Run {
        var numbers: Deque<UInt64> = []
        /// Of each message.
        var ordinals: Deque<UInt64> = []

        /// The index of the last message up to an ordinal.
        func index(upTo ordinal: UInt64) -> Int? {
            let index = ordinals.partitioningIndex { $0 > ordinal }
            return index > 0 ? index - 1 : nil
        }

        /// The ordinals of the messages with these numbers.
        func ordinals(ofNumbers range: ClosedRange<UInt64>, atMost count: Int) -> [UInt64] {
            let start = numbers.partitioningIndex { $0 >= range.lowerBound }
            let end = numbers.partitioningIndex { $0 > range.upperBound }
            return Array(ordinals[start..<max(start, end)].prefix(count))
        }
    }

    private var entries: Deque<Entry> = []
    /// The ordinal of the first entry. Ordinals count messages.
    private var firstOrdinal: UInt64 = 0
    /// The offset of the next event.
    private(set) var end: UInt64
    private var runs: [PublisherID: Run] = [:]
    /// The publishers, that of the newest message last.
    private var recent: [PublisherID] = []
    private var others: [MessageName: UInt64] = [:]
    /// Publishers that this node has waited for in vain.
    private var absent: Set<PublisherID> = []
    private static let mostAbsent = 1024
    private var keys: [KeyHash: UInt64] = [:]
    private var keyOrder: Deque<(ordinal: UInt64, key: KeyHash)> = []
    /// Other names of messages: those of repeats with the same key.
    private var aliases: Deque<(ordinal: UInt64, name: MessageName)> = []

    /// How far in front of its message a reader from another node may have missed messages of a publisher that its
    /// position does not name: one that has only just begun.
    static let newPublisherDistance: UInt64 = 512
    /// The most messages that a reader from another node may lack in front of its place, or know behind it. With more, its
    /// place counts as unknown.
    static let mostAstray = 4096
    /// The most messages in front of history that are remembered, so that a reader which has seen one learns whether it
    /// missed something.
    static let mostTrimmed = 65_536

    /// The place in front of every message.
    private let nothing: BusPlace.Head

    /// - Parameters:
    ///   - end: The offset of the next event.
    ///   - nothing: The place in front of every message.
    init(end: UInt64, nothing: BusPlace) {
        self.end = end
        self.nothing = nothing.head
    }

    var count: Int { entries.count }

    // MARK: Changing

    /// - Parameter message: Follows all others, except that offsets may be left out.
    mutating func append(_ message: Message) {
        let ordinal = firstOrdinal + UInt64(entries.count)
        var name = message.name
        switch name {
        case nil: break
        case .numbered(let numbered) where (runs[numbered.publisher]?.numbers.last ?? 0) < numbered.number:
            runs[numbered.publisher, default: Run()].numbers.append(numbered.number)
            absent.remove(numbered.publisher)
            runs[numbered.publisher]?.ordinals.append(ordinal)
            if recent.last != numbered.publisher {
                if let index = recent.lastIndex(of: numbered.publisher) { recent.remove(at: index) }
                recent.append(numbered.publisher)
            }
        case let other?:
            // It comes late, or another program has sent it. Of several with the same name the first one has it.
            if others[other] == nil { others[other] = ordinal } else { name = nil }
        }
        if let key = message.key, keys[key] == nil {
            keys[key] = ordinal
            keyOrder.append((ordinal, key))
        }
        entries.append(Entry(first: message.first, name: name))
        end = message.first + UInt64(message.count)
    }

    /// A message repeats one with the same key that is in history, so that both names stand for it. Forgotten when the
    /// process ends.
    mutating func append(repeat name: MessageName, of key: KeyHash) {
        guard let ordinal = keys[key], !contains(name) else { return }
        others[name] = ordinal
        aliases.append((ordinal, name))
        if aliases.count > Self.mostTrimmed { aliases.popFirst().map { others[$0.name] = nil } }
    }

    /// Forgets keys of messages that are no longer in history, and messages far in front of it.
    ///
    /// - Parameter oldest: The oldest offset in history.
    mutating func trim(to oldest: UInt64) {
        while let first = keyOrder.first, entry(first.ordinal).first < oldest {
            keys[first.key] = nil
            keyOrder.removeFirst()
        }
        let trimmed = entries.partitioningIndex { $0.first >= oldest }
        for _ in 0..<max(0, trimmed - Self.mostTrimmed) { removeFirst() }
    }

    private mutating func removeFirst() {
        let entry = entries.removeFirst()
        switch entry.name {
        case .numbered(let name)? where runs[name.publisher]?.ordinals.first == firstOrdinal:
            runs[name.publisher]?.numbers.removeFirst()
            runs[name.publisher]?.ordinals.removeFirst()
            if runs[name.publisher]?.numbers.isEmpty == true {
                runs[name.publisher] = nil
                recent.removeAll { $0 == name.publisher }
            }
        case let name?: others[name] = nil
        case nil: break
        }
        while let alias = aliases.first, alias.ordinal <= firstOrdinal {
            others[alias.name] = nil
            aliases.removeFirst()
        }
        firstOrdinal += 1
    }

    // MARK: Finding

    private func entry(_ ordinal: UInt64) -> Entry { entries[Int(ordinal - firstOrdinal)] }

    /// The offsets of the events of a message.
    private func offsets(_ ordinal: UInt64) -> Range<UInt64> {
        let index = Int(ordinal - firstOrdinal)
        return entries[index].first..<(index + 1 < entries.count ? entries[index + 1].first : end)
    }

    private func ordinal(of name: MessageName) -> UInt64? {
        if case .numbered(let name) = name, let run = runs[name.publisher] {
            let index = run.numbers.partitioningIndex { $0 >= name.number }
            if index < run.numbers.count, run.numbers[index] == name.number { return run.ordinals[index] }
        }
        // Another name of a message may outlast it.
        return others[name].flatMap { $0 >= firstOrdinal ? $0 : nil }
    }

    /// The ordinal of the message with the event at an offset, or of the one in front of it.
    private func ordinal(at offset: UInt64) -> UInt64? {
        let index = entries.partitioningIndex { $0.first > offset }
        return index > 0 ? firstOrdinal + UInt64(index - 1) : nil
    }

    func contains(_ name: MessageName) -> Bool { ordinal(of: name) != nil }

    /// Whether a text is a position that this node understands, rather than an id that a publisher chose.
    func isPosition(_ id: String, local: (Position) -> UInt64?) -> Bool {
        switch BusPlace(id)?.head {
        case nil: false
        case .local(let position): local(position) != nil
        case .message(.numbered(let name)): runs[name.publisher] != nil || .message(.numbered(name)) == nothing
        case .message(let name): contains(name)
        }
    }

    /// The offsets of the events that were published with a key.
    func offsets(of key: KeyHash) -> Range<UInt64>? { keys[key].map(offsets) }

    // MARK: Places

    /// The place of a reader that has followed this node up to an offset.
    ///
    /// - Parameter local: The position of an offset in the history of this node.
    func place(at offset: UInt64, local: (UInt64) -> Position) -> BusPlace {
        guard offset > 0 else { return BusPlace(head: nothing) }
        guard let ordinal = ordinal(at: offset) else { return BusPlace(head: .local(local(offset))) }
        let offsets = offsets(ordinal)
        guard let name = entry(ordinal).name, offset < offsets.upperBound else {
            return BusPlace(head: .local(local(offset)), seen: seen(at: ordinal, beside: nil))
        }
        let part = offset + 1 < offsets.upperBound ? Int(offset - offsets.lowerBound) + 1 : nil
        return BusPlace(head: .message(name), part: part, seen: seen(at: ordinal, beside: name))
    }

    /// How far a reader has come among the messages of each publisher, the newest first.
    private func seen(at ordinal: UInt64, beside name: MessageName?) -> [BusPlace.Seen] {
        var found: [(name: NumberedName, ordinal: UInt64)] = []
        for publisher in recent.reversed() {
            guard let run = runs[publisher], let last = run.ordinals.last else { continue }
            if found.count == BusPlace.mostSeen, last < found[found.count - 1].ordinal { break }
            if case .numbered(let own)? = name, own.publisher == publisher { continue }
            guard let index = run.index(upTo: ordinal) else { continue }
            let new = (NumberedName(publisher: publisher, number: run.numbers[index]), run.ordinals[index])
            let place = found.firstIndex { $0.ordinal < new.1 } ?? found.count
            found.insert(new, at: place)
            if found.count > BusPlace.mostSeen { found.removeLast() }
        }
        return found.map { BusPlace.Seen(name: $0.name) }
    }

    /// What a reader at a place has and lacks on this node; `nil` if this node does not know the message.
    ///
    /// - Parameter local: The offset of a position in the history of this node.
    func course(from place: BusPlace, local: (Position) -> UInt64?) -> Course? {
        if place.head == nothing { return Course(from: place, head: 0) }
        let ordinal: UInt64
        let head: UInt64
        switch place.head {
        case .local(let position):
            guard let offset = local(position), offset < end else { return nil }
            guard let found = self.ordinal(at: offset) else { return Course(from: place, head: offset) }
            (ordinal, head) = (found, offset)
        case .message(let name):
            guard let found = self.ordinal(of: name) else { return nil }
            let offsets = offsets(found)
            ordinal = found
            if let part = place.part {
                guard offsets.count > part else { return nil }
                head = offsets.lowerBound + UInt64(part) - 1
            } else {
                head = offsets.upperBound - 1
            }
        }
        var course = Course(from: place, head: head)
        guard !place.seen.isEmpty else { return course }
        var missed: [UInt64] = []
        var known: [UInt64] = []
        var parts: (missed: [Range<UInt64>], known: [Range<UInt64>]) = ([], [])
        for seen in place.seen {
            let name = seen.name
            guard let run = runs[name.publisher] else { continue }
            let here = run.index(upTo: ordinal).map { run.numbers[$0] } ?? 0
            // A message of which the reader has the first events only is half of both.
            var last = name.number
            if let part = seen.part, let ordinal = self.ordinal(of: .numbered(name)) {
                let offsets = offsets(ordinal)
                let middle = min(offsets.lowerBound + UInt64(part), offsets.upperBound)
                if here < name.number {
                    parts.known.append(offsets.lowerBound..<middle)
                } else {
                    parts.missed.append(middle..<offsets.upperBound)
                }
                if here < name.number { last -= 1 }
            }
            if here < last { known += run.ordinals(ofNumbers: here + 1...last, atMost: Self.mostAstray + 1) }
            if here > last { missed += run.ordinals(ofNumbers: name.number + 1...here, atMost: Self.mostAstray + 1) }
        }
        missed += unnamed(place, at: ordinal)
        guard missed.count + known.count <= Self.mostAstray else { return nil }
        // The rest of the message of the place follows it.
        course.missed = (missed.filter { $0 != ordinal }.map(offsets) + parts.missed).sorted()
        course.known = (known.map(offsets) + parts.known).sorted()
        return course
    }

    /// The messages shortly in front of a place whose publishers it does not name.
    private func unnamed(_ place: BusPlace, at ordinal: UInt64) -> [UInt64] {
        var start = ordinal > Self.newPublisherDistance ? ordinal - Self.newPublisherDistance : 0
        if place.seen.count == BusPlace.mostSeen {
            // The place names those with the newest messages, so it lacks only what is newer than all of them.
            let named = place.seen.map(\.name).compactMap { name in
                runs[name.publisher].flatMap { run in run.index(upTo: ordinal).map { run.ordinals[$0] } }
            }
            start = max(start, named.min() ?? ordinal)
        }
        var found: [UInt64] = []
        for publisher in recent.reversed() {
            guard let run = runs[publisher], let last = run.ordinals.last, last >= start else { break }
            if case .message(.numbered(let name)) = place.head, name.publisher == publisher { continue }
            if place.seen.contains(where: { $0.name.publisher == publisher }) { continue }
            if run.ordinals[0] >= start, let end = run.index(upTo: ordinal) { found += run.ordinals[...end] }
        }
        return found
    }

    /// Whether the message of a place was forgotten.
    func isTrimmed(_ place: BusPlace) -> Bool {
        if case .message(.numbered(let name)) = place.head { isTrimmed(name) } else { false }
    }

    /// Whether a message came before all that this node remembers of its publisher.
    func isTrimmed(_ name: NumberedName) -> Bool {
        guard firstOrdinal > 0, let first = runs[name.publisher]?.numbers.first else { return false }
        return name.number < first
    }

    /// Whether this node may yet receive what a place names.
    func lacks(_ place: BusPlace) -> Bool {
        if case .message(let name) = place.head, place.head != nothing, !contains(name), !isTrimmed(place) {
            return true
        }
        return place.seen.map(\.name).contains { name in
            !absent.contains(name.publisher) && (runs[name.publisher]?.numbers.last ?? 0) < name.number
        }
    }

    /// Nothing of the publishers that a place names has come in time: this node has not been there long enough.
    mutating func stopWaiting(for place: BusPlace) {
        if absent.count > Self.mostAbsent { absent = [] }
        for name in place.seen.map(\.name) where runs[name.publisher] == nil { absent.insert(name.publisher) }
    }
}

extension LocalOrder {
    /// The place of a reader that has followed a course up to an offset.
    ///
    func place(at offset: UInt64, on course: Course, local: (UInt64) -> Position) -> BusPlace {
        if course.isStraight || offset >= course.end { return place(at: max(offset, course.head), local: local) }
        if offset <= course.head {
            var place = course.place
            for missed in course.missed {
                guard missed.lowerBound <= offset, let ordinal = ordinal(at: missed.lowerBound),
                    case .numbered(let name)? = entry(ordinal).name
                else { break }
                let part = Int(min(offset, missed.upperBound - 1) - offsets(ordinal).lowerBound) + 1
                place.seen.removeAll { $0.name.publisher == name.publisher }
                place.seen.append(BusPlace.Seen(name: name, part: part < offsets(ordinal).count ? part : nil))
            }
            return place
        }
        var place = place(at: offset, local: local)
        let ahead = course.place.seen.filter { seen in
            if case .message(.numbered(let own)) = place.head, own.publisher == seen.name.publisher { return false }
            let here = place.seen.first { $0.name.publisher == seen.name.publisher }?.name.number
            return here.map { $0 < seen.name.number } ?? true
        }
        place.seen = ahead + place.seen.filter { seen in !ahead.contains { $0.name.publisher == seen.name.publisher } }
        return place
    }
}

/// What a reader has to read on this node. A value.
///
/// A reader from another node may lack messages in front of its place, and know some behind it.
struct Course: Equatable, Sendable {
    /// The offset of the last event of the reader.
    var head: UInt64
    /// Events up to ``head`` that the reader lacks.
    var missed: [Range<UInt64>] = []
    /// Events behind ``head`` that the reader has.
    var known: [Range<UInt64>] = []
    /// Where the reader comes from.
    let place: BusPlace

    init(from place: BusPlace, head: UInt64) {
        self.place = place
        self.head = head
    }

    /// Everything that the reader lacks is behind this offset.
    var start: UInt64 { missed.first.map { min(head, $0.lowerBound - 1) } ?? head }
    /// From this offset on, the reader is like one of this node.
    var end: UInt64 { known.last.map { max(head, $0.upperBound - 1) } ?? head }
    var isStraight: Bool { missed.isEmpty && known.isEmpty }

    func lacks(_ offset: UInt64) -> Bool {
        offset > head ? !Self.contains(known, offset) : Self.contains(missed, offset)
    }

    /// - Parameter ranges: Ascending.
    private static func contains(_ ranges: [Range<UInt64>], _ offset: UInt64) -> Bool {
        let index = ranges.partitioningIndex { $0.upperBound > offset }
        return index < ranges.count && ranges[index].contains(offset)
    }

    func covers(_ other: Course) -> Bool { start >= other.end }
}

extension [Range<UInt64>] {
    /// By their beginning, without those that are empty.
    fileprivate func sorted() -> Self { filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound } }
}

/// A hash of an idempotency key: 128 bits, with a seed of this process, so that publishers cannot make two keys alike.
struct KeyHash: Hashable, Sendable {
    private let low: Int
    private let high: Int

    init(_ key: String) {
        (low, high) = (Self.hash(key, 0), Self.hash(key, 1))
    }

    private static func hash(_ key: String, _ salt: UInt8) -> Int {
        var hasher = Hasher()
        hasher.combine(salt)
        var key = key
        key.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        return hasher.finalize()
    }
}
#endif
