// SPDX-License-Identifier: Apache-2.0

/// Feeds in no order. Adding and removing one takes the same time however many there are.
struct FeedList {
    private(set) var feeds = ShortList<FeedID>()
    /// Where in the list a feed is; only for lists that take long to search.
    private var places: [FeedID: Int] = [:]

    private static let longest = 32

    var isEmpty: Bool { feeds.isEmpty }
    var count: Int { feeds.count }

    mutating func append(_ feed: FeedID) {
        feeds.append(feed)
        guard feeds.count > Self.longest else { return }
        if places.isEmpty {
            for (place, feed) in feeds.enumerated() { places[feed] = place }
        } else {
            places[feed] = feeds.count - 1
        }
    }

    /// Takes a feed out; the last takes its place.
    mutating func remove(_ feed: FeedID) {
        guard let place = places.isEmpty ? feeds.firstIndex(of: feed) : places[feed] else { return }
        feeds.swapRemove(at: place)
        if feeds.count <= Self.longest { places = [:] } else { places[feed] = nil }
        if !places.isEmpty, place < feeds.count { places[feeds[place]] = place }
    }
}

/// A list that usually has one element, and needs no memory of its own for it.
struct ShortList<Element>: RandomAccessCollection, MutableCollection {
    private var head: Element?
    private var rest: [Element] = []

    init() {}

    init(_ element: Element) { head = element }

    var startIndex: Int { 0 }
    var endIndex: Int { head == nil ? 0 : rest.count + 1 }

    subscript(position: Int) -> Element {
        get {
            guard position == 0, let head else { return rest[position - 1] }
            return head
        }
        set { if position == 0 { head = newValue } else { rest[position - 1] = newValue } }
    }

    mutating func append(_ element: Element) {
        if head == nil { head = element } else { rest.append(element) }
    }

    mutating func popLast() -> Element? {
        if let last = rest.popLast() { return last }
        defer { head = nil }
        return head
    }

    /// Takes an element out; the last takes its place.
    mutating func swapRemove(at position: Int) {
        guard let last = popLast(), position < count else { return }
        self[position] = last
    }
}

extension ShortList: Sendable where Element: Sendable {}
