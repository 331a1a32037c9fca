// SPDX-License-Identifier: Apache-2.0

package import DequeModule
import MartletSupport

/// The offsets at which ids of publishers occur in history. An id may occur several times; the earliest one counts.
package struct PublisherIDs {
    private enum Offsets {
        case one(UInt64)
        /// Two or more, ascending.
        case many(Deque<UInt64>)
    }

    private var offsets: [ExactText: Offsets] = [:]
    /// Ids that occurred before those in history.
    private var shortened: Set<ExactText> = []

    package init() {}

    /// The offsets of an id, ascending.
    package func all(_ id: String) -> Deque<UInt64> {
        switch offsets[ExactText(id)] {
        case nil: []
        case .one(let offset): [offset]
        case .many(let offsets): offsets
        }
    }

    /// Whether a client that saw the id may have seen an occurrence that is no longer in history.
    package func hasLostAnOccurrence(_ id: String) -> Bool { shortened.contains(ExactText(id)) }

    /// - Parameter offset: Greater than all before.
    package mutating func insert(_ id: String, at offset: UInt64) {
        let id = ExactText(id)
        switch offsets.removeValue(forKey: id) {
        case nil: offsets[id] = .one(offset)
        case .one(let first): offsets[id] = .many([first, offset])
        case .many(var all):
            all.append(offset)
            offsets[id] = .many(all)
        }
    }

    /// Forgets an occurrence.
    package mutating func remove(_ id: String, at offset: UInt64) {
        let id = ExactText(id)
        guard case .many(var all) = offsets.removeValue(forKey: id) else {
            shortened.remove(id)
            return
        }
        if all.first == offset {
            shortened.insert(id)
            all.removeFirst()
        } else {
            all.removeAll { $0 == offset }
        }
        offsets[id] = all.count == 1 ? .one(all[0]) : .many(all)
    }
}
