// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The offsets at which texts occur in history, by hash: 20 bytes for each occurrence, without the texts. So what is
/// found has to be verified in the file. A look-up takes constant time.
///
/// The occurrences are in one queue, ordered by offset. Those whose hashes have the same lower bits are a chain through
/// it, from the newest to the oldest. So removing the oldest only moves the front of the queue.
struct OffsetTable {
    private struct Entry {
        var offset: UInt64
        var hash: UInt32
        /// How many places further to the front the next entry of the chain is; 0 for none.
        var previous: UInt32
    }

    private var entries: Deque<Entry> = []
    /// How many entries were removed.
    private var removed: UInt64 = 0
    /// The number of the newest entry of each chain: the lower 32 bits, counted from 1 over all entries that there ever
    /// were.
    private var heads: [UInt32] = []

    static func hash(_ text: String) -> UInt32 {
        // Seeded for each process, so that publishers cannot choose texts that collide.
        var hasher = Hasher()
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        return UInt32(truncatingIfNeeded: hasher.finalize())
    }

    /// - Parameter offset: Not less than any before.
    mutating func append(_ text: String, at offset: UInt64) {
        if entries.count == heads.count { grow() }
        link(Entry(offset: offset, hash: Self.hash(text), previous: 0))
    }

    mutating func removeFirst(through offset: UInt64) {
        while let first = entries.first, first.offset <= offset {
            entries.removeFirst()
            removed += 1
        }
    }

    /// Removes what is not in history any more.
    mutating func sweep(_ isInHistory: (UInt64) -> Bool) {
        let kept = entries.filter { isInHistory($0.offset) }
        heads = heads.map { _ in 0 }
        entries.removeAll(keepingCapacity: true)
        for entry in kept { link(entry) }
    }

    /// The offsets at which a text may be, in ascending order.
    func offsets(of text: String) -> [UInt64] {
        guard !heads.isEmpty else { return [] }
        let hash = Self.hash(text)
        var found: [UInt64] = []
        var index = index(of: heads[Int(hash) & (heads.count - 1)])
        while let place = index {
            let entry = entries[place]
            if entry.hash == hash { found.append(entry.offset) }
            let previous = place - Int(entry.previous)
            index = entry.previous == 0 || previous < 0 ? nil : previous
        }
        return found.reversed()
    }

    /// The index of the entry with a number; `nil` if it was removed.
    private func index(of number: UInt32) -> Int? {
        guard number != 0 else { return nil }
        let index = Int(number &- UInt32(truncatingIfNeeded: removed + 1))
        return index < entries.count ? index : nil
    }

    private mutating func link(_ entry: Entry) {
        var entry = entry
        let chain = Int(entry.hash) & (heads.count - 1)
        entry.previous = index(of: heads[chain]).map { UInt32(entries.count - $0) } ?? 0
        entries.append(entry)
        heads[chain] = UInt32(truncatingIfNeeded: removed + UInt64(entries.count))
    }

    private mutating func grow() {
        let all = entries
        heads = Array(repeating: 0, count: max(64, heads.count * 2))
        entries.removeAll(keepingCapacity: true)
        for entry in all { link(entry) }
    }
}
