// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// Where in history the ids are that publishers chose. An id may occur several times; the earliest counts.
struct PublisherIDs {
    private enum Offsets {
        case one(UInt64)
        /// Two or more, ascending.
        case many(Deque<UInt64>)
    }

    private var offsets: [ExactText: Offsets] = [:]

    /// Where an id occurs, ascending.
    func all(_ id: String) -> Deque<UInt64> {
        switch offsets[ExactText(id)] {
        case nil: []
        case .one(let offset): [offset]
        case .many(let offsets): offsets
        }
    }

    /// - Parameter offset: Greater than all before.
    mutating func insert(_ id: String, at offset: UInt64) {
        let id = ExactText(id)
        switch offsets.removeValue(forKey: id) {
        case nil: offsets[id] = .one(offset)
        case .one(let first): offsets[id] = .many([first, offset])
        case .many(var all):
            all.append(offset)
            offsets[id] = .many(all)
        }
    }

    /// Forgets the earliest occurrence, which must be this one.
    mutating func remove(_ id: String, at offset: UInt64) {
        let id = ExactText(id)
        guard case .many(var all) = offsets.removeValue(forKey: id) else { return }
        all.removeFirst()
        offsets[id] = all.count == 1 ? .one(all[0]) : .many(all)
    }
}
