// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// Accounts for the frames that the feeds hold in memory: one budget for the process, the oldest dropped first across
/// all feeds. A cursor that needs what was dropped reads history.
struct Window {
    struct Item {
        var sequence: SequenceNumber
        var byteCount: Int
        /// Those that it was given to. Some may be gone by now.
        var feeds: [FeedID]
        /// How many of them still hold it.
        fileprivate var holders: Int
        /// How many bytes there ever were before it.
        fileprivate var offset = 0

        init(sequence: SequenceNumber, byteCount: Int, feeds: [FeedID]) {
            self.sequence = sequence
            self.byteCount = byteCount
            self.feeds = feeds
            self.holders = feeds.count
        }
    }

    let capacity: Int
    private(set) var byteCount = 0
    private var items: Deque<Item> = []
    /// How many bytes there ever were.
    private var total = 0
    /// How many of the items no feed holds any more. They are swept out before they are the most.
    private var released = 0

    init(capacity: Int) { self.capacity = capacity }

    mutating func append(_ item: Item) {
        var item = item
        item.offset = total
        items.append(item)
        byteCount += item.byteCount
        total += item.byteCount
    }

    /// Takes out the oldest item while the window is over its capacity; the newest item always stays.
    mutating func popOverflow() -> Item? {
        guard byteCount > capacity, items.count > 1 else { return nil }
        let item = items.removeFirst()
        byteCount -= item.byteCount
        if item.feeds.isEmpty { released -= 1 }
        return item
    }

    /// A feed that was given the frame of this number no longer holds it.
    mutating func release(_ sequence: SequenceNumber) {
        guard let index = index(of: sequence) else { return }
        items[index].holders -= 1
        guard items[index].holders == 0 else { return }
        items[index].feeds = []
        byteCount -= items[index].byteCount
        items[index].byteCount = 0
        released += 1
        guard released * 2 > items.count else { return }
        items.removeAll { $0.feeds.isEmpty }
        released = 0
    }

    /// How many bytes have come after a number, among them what was released since.
    func byteCount(after sequence: SequenceNumber) -> Int {
        let index = firstIndex(from: sequence.next)
        return index < items.endIndex ? total - items[index].offset : 0
    }

    private func index(of sequence: SequenceNumber) -> Int? {
        let index = firstIndex(from: sequence)
        return index < items.endIndex && items[index].sequence == sequence ? index : nil
    }

    private func firstIndex(from sequence: SequenceNumber) -> Int {
        var low = items.startIndex
        var high = items.endIndex
        while low < high {
            let middle = (low + high) / 2
            if items[middle].sequence < sequence { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
