// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// Where in history texts occur, by their hash, in 20 bytes for each occurrence and without the texts: what is found has to
/// be looked at in the file. Finding takes the same time however much there is.
///
/// The occurrences stand in one row, in the order of their offsets. Those whose hashes end alike are a chain through it, from
/// the newest to the oldest; so the oldest are removed by forgetting where the row begins.
struct OffsetTable {
    private struct Entry {
        var offset: UInt64
        var hash: UInt32
        /// How many places further to the front the chain goes on; 0: nowhere.
        var previous: UInt32
    }

    private var entries: Deque<Entry> = []
    /// How many entries were removed.
    private var removed: UInt64 = 0
    /// The number of the newest entry of each chain, counted from 1 over all that there ever were; the lower 32 bits.
    private var heads: [UInt32] = []

    static func hash(_ text: String) -> UInt32 {
        // As a dictionary would: nobody can choose texts that collide.
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

    /// Where the entry of a number is; `nil` if it was removed.
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
