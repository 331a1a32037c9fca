// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import MartletSupport
import Synchronization

extension History {
    /// At how many events with the id of a client is looked for one that he may see. Beyond that the id is unknown to him.
    private static let mostOccurrences = 256

    func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        if id.isExactly(Position.earliest.text) { return Resolution(position: .earliest) }
        switch segments.find(id, last: last) {
        case .at(let offset): return resolution(at: offset, for: selection)
        case .lost: return Resolution(position: start, gap: .rolledBack)
        case nil: break
        }
        let (first, offsets) = index.withLock { index in
            (index.first, index.ids.offsets(of: id).filter { $0 >= index.first }.prefix(Self.mostOccurrences))
        }
        let found = offsets.isEmpty ? nil : try await find(id, at: Array(offsets), for: selection)
        guard let found, found.offset >= first else {
            return Resolution(position: start, gap: Epoch.parts(of: id) == nil ? .unknown : .epoch)
        }
        if found.isLater { return Resolution(position: start, gap: .trimmed) }
        return resolution(at: found.offset, for: selection)
    }

    /// The result of a closure that reads; `nil` if it finds damage.
    private func readable<Value>(_ body: () throws -> Value) throws -> Value? {
        do {
            return try body()
        } catch  where error.isDamage {
            damaged(error)
            return nil
        }
    }

    /// Finds the first event with an id that is selected, and whether there was another with that id which was removed.
    /// Whether an id exists that is not selected is nobody's business.
    private func find(
        _ id: String, at offsets: [UInt64], for selection: Selection
    ) async throws -> (offset: UInt64, isLater: Bool)? {
        try await file.pool.read { database in
            var isLater: Bool?
            for offset in offsets {
                guard let row = try readable({ try EventRow.read(offset, from: database) }) ?? nil, row.event.hasID(id)
                else { continue }
                isLater = isLater ?? row.repeatsID
                if selection.contains(row.event) { return (offset, isLater ?? false) }
            }
            return nil
        }
    }

    /// - Parameter time: In milliseconds since 1970.
    func resolve(since time: Int64, for selection: Selection) async throws -> Resolution {
        let (offsets, isTrimmed) = index.withLock { index in
            let mayBeTrimmed = index.trimmedTime.map { $0 >= time } ?? false
            return (index.first..<index.last + 1, mayBeTrimmed && index.isTrimmed(selection, after: 0))
        }
        let offset = try await file.pool.read { database in
            var (low, high) = (offsets.lowerBound, offsets.upperBound)
            while low < high {
                let middle = low + (high - low) / 2
                // A row that was removed in the meantime is older than the rest; one that cannot be read may not be.
                let row = try readable { try EventRow.read(middle, from: database) }
                let isOlder = row.map { $0.map { $0.time < time } ?? true } ?? false
                if isOlder { low = middle + 1 } else { high = middle }
            }
            return low
        }
        return Resolution(position: position(offset - 1), gap: isTrimmed ? .trimmed : nil)
    }

    private func resolution(at offset: UInt64, for selection: Selection) -> Resolution {
        let isTrimmed = index.withLock { $0.isTrimmed(selection, after: offset) }
        return isTrimmed ? Resolution(position: start, gap: .trimmed) : Resolution(position: position(offset))
    }

    /// Everything in history comes after it.
    private var start: Position { position(index.withLock { $0.first } - 1) }

    /// Whether an event in history has the id.
    func contains(id: String, in database: Database) throws -> Bool {
        // The newest is enough, but that another text may have the same hash.
        for offset in index.withLock({ $0.ids.offsets(of: id) }).reversed() {
            if let row = try EventRow.read(offset, from: database), row.event.hasID(id) { return true }
        }
        return false
    }

    /// Where the events are that were published with a key.
    func publish(key: String, in database: Database) throws -> Range<UInt64>? {
        for offset in index.withLock({ $0.publishes.offsets(of: key) }) {
            guard let publish = try EventRow.read(offset, from: database)?.publish else { continue }
            if publish.key.isExactly(key) { return offset..<offset + UInt64(publish.count) }
        }
        return nil
    }
}
