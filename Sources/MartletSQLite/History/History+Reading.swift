// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import Synchronization

extension History {
    /// How many events one slice examines, so that a reader of a rare topic does not delay the others.
    private static let mostScanned = 4096
    /// How many events to read at least, because some of them may turn out not to be selected.
    private static let leastRead = 64
    /// How long to wait before looking again whether events that are being removed have been.
    private static let pause = Duration.milliseconds(1)
    /// How many tags are examined while the index is locked.
    private static let mostTags: UInt64 = 65_536

    /// What to read from the file.
    private struct Plan {
        enum Offsets {
            case range(ClosedRange<UInt64>)
            case some([UInt64])
        }

        var offsets: Offsets
        /// No other event is selected up to here.
        var through: UInt64
    }

    /// - Parameters:
    ///   - after: `nil` for the earliest.
    ///   - through: Not behind the newest event.
    func read(
        _ selection: Selection?, after: UInt64?, through: UInt64, limit: SliceLimit
    ) async throws -> Slice {
        let tags = selection.flatMap(Self.tags)
        while true {
            let (first, removals) = index.withLock { ($0.first, $0.removals) }
            let next = max(first, (after ?? 0) + 1)
            do {
                var slice =
                    next <= through
                    ? try await read(selection, tags, next...through, limit)
                    : Slice(records: [], end: position(through), isComplete: true)
                addGap(to: &slice, selection, after: after, through: through, removals: removals)
                return slice
            } catch let unreadable as Unreadable {
                // The event may have been removed since the index was read, or is being removed.
                let (isRemoved, isLeaving) = index.withLock {
                    (!$0.contains(unreadable.offset), $0.isLeaving(unreadable.offset))
                }
                if isRemoved { continue }
                if isLeaving {
                    try await Task.sleep(for: Self.pause)
                    continue
                }
                damaged(unreadable.error)
                let place = unreadable.offset - 1
                if place > after ?? 0 {
                    var slice = Slice(records: [], end: position(place), isComplete: false)
                    addGap(to: &slice, selection, after: after, through: place, removals: removals)
                    if slice.gap != nil { return slice }
                }
                return try await skip(from: unreadable.offset, through: through)
            }
        }
    }

    /// Says that selected events of a slice were removed. A gap that is further away is told when the reader comes to it.
    ///
    /// - Parameter removals: How many removals there were before the slice was read. If there were more since, events in
    ///   front of those that were read may be gone, although the last removed one is further away.
    private func addGap(
        to slice: inout Slice, _ selection: Selection?, after: UInt64?, through: UInt64, removals: Int
    ) {
        guard let after, after < through, index.withLock({ $0.lastRemoved > after }) else { return }
        func offset(_ position: Position?) -> UInt64? {
            guard case .at(let offset)? = position.flatMap({ segments.find($0.text, last: .max) }) else { return nil }
            return offset
        }
        let stop = slice.isComplete ? UInt64.max : max(offset(slice.end) ?? through, after + 1)
        let isTrimmed = index.withLock { index in
            index.isTrimmed(selection, in: after + 1...(index.removals == removals ? stop : .max))
        }
        guard isTrimmed else { return }
        slice.gap = offset(slice.records.first?.position).map { position($0 - 1) } ?? slice.end
    }

    /// An event that cannot be read and may be selected.
    private struct Unreadable: Error {
        let offset: UInt64
        let error: any Error
    }

    /// Continues behind events that cannot be read.
    private func skip(from offset: UInt64, through: UInt64) async throws -> Slice {
        let last = try await file.pool.read { [self] database in
            var (bad, step) = (offset, 1 as UInt64)
            // Doubles the step, so that much damage does not take long; then searches for its end.
            while bad < through, !isReadable(min(bad + step, through), in: database) {
                bad = min(bad + step, through)
                step *= 2
            }
            var good = min(bad + step, through + 1)
            while bad < through, good - bad > 1 {
                let middle = bad + (good - bad) / 2
                if isReadable(middle, in: database) { good = middle } else { bad = middle }
            }
            return bad
        }
        return Slice(
            records: [], end: position(last), isComplete: last == through, gap: position(last), gapReason: .damaged)
    }

    private func isReadable(_ offset: UInt64, in database: Database) -> Bool {
        !index.withLock { $0.contains(offset) } || ((try? EventRow.read(offset, from: database)) ?? nil) != nil
    }

    private func read(
        _ selection: Selection?, _ tags: Set<TopicColumn.Tag>?, _ offsets: ClosedRange<UInt64>, _ limit: SliceLimit
    ) async throws -> Slice {
        let plan = plan(tags, offsets, atMost: max(limit.events, Self.leastRead))
        if case .some(let none) = plan.offsets, none.isEmpty {
            return Slice(records: [], end: position(plan.through), isComplete: true)
        }
        return try await file.pool.read { [self] database in
            var builder = SliceBuilder(selection, limit: limit, end: position(offsets.upperBound))
            var isFull = false
            func firstMissing(in range: Range<UInt64>) -> UInt64? { index.withLock { $0.firstEvent(in: range) } }
            func add(_ row: EventRow) {
                isFull = !builder.append(row.event, at: position(row.offset))
                if isFull { end(at: row.offset - 1) }
            }
            func end(at offset: UInt64) {
                if offset < offsets.upperBound { builder.stop(at: position(offset)) }
            }
            end(at: plan.through)
            do {
                switch plan.offsets {
                case .range(let range):
                    var next = range.lowerBound
                    while !isFull, next <= range.upperBound {
                        do {
                            try EventRow.read(
                                next...range.upperBound, from: database, firstMissing: firstMissing
                            ) { row in
                                add(row)
                                next = row.offset + 1
                                return !isFull
                            }
                            guard !isFull, next <= range.upperBound else { break }
                            if let missing = firstMissing(in: next..<range.upperBound + 1) {
                                throw DamageError.event(missing)
                            }
                            next = range.upperBound + 1
                        } catch  where error.isDamage {
                            // The places of events that rules have removed are not damaged.
                            guard let event = firstMissing(in: next..<range.upperBound + 1) else { break }
                            let isBehind = error.damagedEvent.map { (next..<event).contains($0) } ?? false
                            next = event
                            // The missing event has been removed in the meantime. The error says nothing about the next one.
                            if isBehind { continue }
                            let isWanted = index.withLock { $0.mayBeSelected(tags, at: next) }
                            if isWanted { throw Unreadable(offset: next, error: error) }
                            next += 1
                        }
                    }
                case .some(let some):
                    for offset in some where !isFull {
                        do {
                            guard let row = try EventRow.read(offset, from: database) else {
                                throw DamageError.event(offset)
                            }
                            add(row)
                        } catch  where error.isDamage {
                            throw Unreadable(offset: offset, error: error)
                        }
                    }
                }
            } catch let unreadable as Unreadable {
                // The events before it come first.
                guard !builder.slice.records.isEmpty else { throw unreadable }
                end(at: unreadable.offset - 1)
            }
            return builder.slice
        }
    }

    /// The tags of all selected topics; `nil` if there are patterns among them.
    private static func tags(of selection: Selection) -> Set<TopicColumn.Tag>? {
        let selectors = selection.selectors
        guard selectors.allSatisfy(\.isExact) else { return nil }
        return Set(selectors.compactMap { $0.exactTopic.map(TopicColumn.tag) })
    }

    private func plan(_ tags: Set<TopicColumn.Tag>?, _ offsets: ClosedRange<UInt64>, atMost count: Int) -> Plan {
        guard let tags else {
            let most = index.withLock { $0.stop(after: Self.mostScanned, from: offsets.lowerBound) }
            let stop = min(offsets.upperBound, max(offsets.lowerBound, most))
            return Plan(offsets: .range(offsets.lowerBound...stop), through: stop)
        }
        var next = offsets.lowerBound
        var found: [UInt64] = []
        while next <= offsets.upperBound {
            let stop = min(offsets.upperBound, next + Self.mostTags - 1)
            found += index.withLock { index in
                let from = max(next, index.first)
                return from <= stop ? index.topics.find(tags, in: from...stop, atMost: count - found.count) : []
            }
            if found.count == count { break }
            next = stop + 1
        }
        let through = found.count == count ? found[count - 1] : offsets.upperBound
        // Events that are close together are read with one query.
        if let first = found.first, let last = found.last, last - first < UInt64(2 * found.count) {
            return Plan(offsets: .range(first...last), through: through)
        }
        return Plan(offsets: .some(found), through: through)
    }
}
