// SPDX-License-Identifier: Apache-2.0

import DequeModule
import MartletSupport

/// What a ``LogBoard`` knows: a state machine without I/O.
struct NoticeBook: Sendable {
    typealias Instant = ContinuousClock.Instant

    private struct Entry {
        /// Counts what its board has said of it, so that what comes late or twice changes nothing.
        var change: UInt64 = 0
        /// `nil` once it was removed, or is not complete.
        var posting: NodePosting?
        /// When nothing need be known of it any more.
        var end: Instant
        /// The parts of the next posting that have come.
        var parts: [Int: [UInt8]] = [:]

        func posting(at now: Instant) -> NodePosting? { end > now ? posting : nil }
    }

    private struct Thing {
        var bytes: [UInt8]
        var end: Instant
    }

    struct Answer: Sendable {
        var bytes: [UInt8]?
    }

    /// What to do when a notice was taken.
    enum Reaction {
        case none
        case send(Notice.Words)
        /// Send ``postingsAgain(now:)`` soon.
        case postAgain
    }

    /// The most names of nodes, and the most places, that are known.
    static let mostNodes = 1000
    /// How long a board that has never posted counts as present after its last notice.
    private static let placeTime = Duration.seconds(600)
    /// The time between two hellos because something was missed.
    private static let missedTime = Duration.seconds(5)

    /// The name of this board among those of all nodes.
    let place = NodeName().text
    var hasBegun = false
    private(set) var hasHeardItself = false
    /// What was asked; `nil`: there is no answer yet.
    var answers: [String: Answer?] = [:]

    private let maximumBytes: Int
    private var own: [NodeName: Entry] = [:]
    private var others: [NodeName: Entry] = [:]
    /// Until when each other board counts as present. If it posts, that is when its last posting expires.
    private var places: [String: (end: Instant, posts: Bool)] = [:]
    private var things: [String: Thing] = [:]
    /// What others have said, and nobody has heard.
    private var said: Deque<[UInt8]> = []
    private var isPostingAgain = false
    private var lastHello: Instant?
    private var questions = SecondBudget(most: LogBoard.mostQuestions)

    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    // MARK: Own postings

    mutating func post(
        _ posting: NodePosting, as node: NodeName, for expiry: Duration, now: Instant
    ) -> [Notice.Words] {
        own = own.filter { $0.value.end > now }
        let entry = Entry(change: (own[node]?.change ?? 0) + 1, posting: posting, end: now + expiry)
        own[node] = entry
        return parts(of: entry, node, now)
    }

    mutating func renew(_ node: NodeName, for expiry: Duration, now: Instant) -> Notice.Words? {
        guard var entry = own[node], entry.posting(at: now) != nil else { return nil }
        entry.change += 1
        entry.end = now + expiry
        own[node] = entry
        return .renew(node, change: entry.change, milliseconds: expiry.wholeMilliseconds)
    }

    mutating func remove(_ node: NodeName, now: Instant) -> Notice.Words? {
        guard var entry = own[node], entry.posting(at: now) != nil else { return nil }
        entry.change += 1
        entry.posting = nil
        own[node] = entry
        return .remove(node, change: entry.change)
    }

    /// For boards that have begun, or have missed something.
    mutating func postingsAgain(now: Instant) -> [Notice.Words] {
        isPostingAgain = false
        return own.flatMap { node, entry in parts(of: entry, node, now) }
    }

    private func parts(of entry: Entry, _ node: NodeName, _ now: Instant) -> [Notice.Words] {
        guard let posting = entry.posting(at: now) else { return [] }
        let count = max(1, (posting.bytes.count + LogBoard.partBytes - 1) / LogBoard.partBytes)
        return (0..<count).map { part in
            let bytes = posting.bytes.dropFirst(part * LogBoard.partBytes).prefix(LogBoard.partBytes)
            return .post(
                node, change: entry.change, version: posting.version,
                milliseconds: (entry.end - now).wholeMilliseconds, part: part, of: count, bytes: Array(bytes))
        }
    }

    // MARK: All postings

    mutating func versions(now: Instant) -> [NodeName: UInt64] {
        others = others.filter { $0.value.end > now }
        return own.merging(others) { own, _ in own }.compactMapValues { $0.posting(at: now)?.version }
    }

    func posting(of node: NodeName, now: Instant) -> NodePosting? { (own[node] ?? others[node])?.posting(at: now) }

    // MARK: What others say

    /// Takes a notice of any board, also of this one.
    mutating func take(_ notice: Notice, now: Instant) -> Reaction {
        guard notice.from != place else {
            if case .hello = notice.words { hasHeardItself = true }
            return .none
        }
        // What the log had before this board began is old.
        guard hasHeardItself else { return .none }
        remember(notice, now)
        switch notice.words {
        case .hello:
            guard !isPostingAgain, !own.isEmpty else { return .none }
            isPostingAgain = true
            return .postAgain
        case .post(let node, let change, let version, let milliseconds, let part, let count, let bytes):
            takePart(
                part, of: count, bytes, NodePosting(version: version, bytes: []), node, change,
                end: now + .milliseconds(milliseconds))
        case .renew(let node, let change, let milliseconds):
            guard let entry = others[node], entry.end > now else { return missed(now) }
            guard change > entry.change else { return .none }
            guard entry.posting != nil || !entry.parts.isEmpty else { return missed(now) }
            others[node]?.change = change
            others[node]?.end = now + .milliseconds(milliseconds)
        case .remove(let node, let change):
            guard let entry = others[node], change > entry.change else { return .none }
            others[node]?.change = change
            others[node]?.posting = nil
            others[node]?.parts = [:]
        case .say(let bytes):
            said.append(bytes)
            if said.count > LogBoard.mostSaid { said.removeFirst() }
        case .take(let name, let holder, let request):
            guard holder == place else { return .none }
            return .send(.give(request: request, bytes: takeHere(name, now)))
        case .give(let request, let bytes):
            if answers.keys.contains(request) { answers[request] = .some(Answer(bytes: bytes)) }
        }
        return .none
    }

    /// - Parameter posting: Without its bytes.
    private mutating func takePart(
        _ part: Int, of count: Int, _ bytes: [UInt8], _ posting: NodePosting, _ node: NodeName, _ change: UInt64,
        end: Instant
    ) {
        guard count > 0, (0..<count).contains(part), count <= maximumBytes / LogBoard.partBytes + 1,
            bytes.count <= LogBoard.partBytes
        else { return }
        guard var entry = others[node] ?? (others.count < Self.mostNodes ? Entry(end: end) : nil) else { return }
        // The parts of one posting have the same number, and are not all there before the last of them.
        guard change > entry.change || change == entry.change && !entry.parts.isEmpty else { return }
        if change > entry.change { entry.parts = [:] }
        entry.change = change
        entry.parts[part] = bytes
        if entry.parts.count == count {
            var posting = posting
            for part in 0..<count { posting.bytes += entry.parts[part] ?? [] }
            entry.posting = posting
            entry.parts = [:]
            entry.end = end
        }
        others[node] = entry
    }

    private mutating func missed(_ now: Instant) -> Reaction {
        if let lastHello, now - lastHello < Self.missedTime { return .none }
        lastHello = now
        return .send(.hello)
    }

    private mutating func remember(_ notice: Notice, _ now: Instant) {
        let place = notice.from
        if places[place] == nil, places.count >= Self.mostNodes { places = places.filter { $0.value.end > now } }
        guard places[place] != nil || places.count < Self.mostNodes else { return }
        switch notice.words {
        case .post(_, _, _, let milliseconds, _, _, _), .renew(_, _, let milliseconds):
            places[place] = (now + .milliseconds(milliseconds), true)
        case .remove: places[place] = (now, true)
        default:
            if places[place]?.posts != true { places[place] = (now + Self.placeTime, false) }
        }
    }

    mutating func takeSaid() -> [[UInt8]] {
        defer { said = [] }
        return Array(said)
    }

    // MARK: One-time things

    /// Returns whether there was room.
    mutating func put(_ bytes: [UInt8], as name: String, until end: Instant, now: Instant) -> Bool {
        if things.count >= LogBoard.mostThings { things = things.filter { $0.value.end > now } }
        guard things.count < LogBoard.mostThings || things[name] != nil else { return false }
        things[name] = Thing(bytes: bytes, end: end)
        return true
    }

    enum Taking {
        case here([UInt8]?)
        /// Ask the board of this place. The answer will be in ``answers``.
        case there(String)
        case tooMany
    }

    mutating func take(_ name: String, asking request: String, now: Instant) -> Taking {
        guard let holder = name.cutExactly(at: UInt8(ascii: ".")).map({ String($0.before) }), holder != place,
            let known = places[holder], known.end > now
        else { return .here(takeHere(name, now)) }
        guard questions.spend(now: now) else { return .tooMany }
        answers[request] = .some(nil)
        return .there(holder)
    }

    private mutating func takeHere(_ name: String, _ now: Instant) -> [UInt8]? {
        guard let thing = things.removeValue(forKey: name), thing.end > now else { return nil }
        return thing.bytes
    }
}
