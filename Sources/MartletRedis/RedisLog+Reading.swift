// SPDX-License-Identifier: Apache-2.0

#if Redis
public import Martlet
import MartletSupport
import Synchronization

extension RedisLog {
    /// How many entries are looked at for one slice, at least, before it is given as it is.
    private static let mostScanned = 16_384
    /// At how many events with the id of a client is looked for one that he may see. Beyond that the id is unknown to him.
    private static let mostOccurrences = 256

    public func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        if after == through { return Slice(records: [], end: through, isComplete: true) }
        let start = try after == .earliest ? nil : place(after)
        let stop = try place(through)
        return try await readers.run { [self] in
            try read($0, selection, after: start, through: stop, limit: limit)
        }
    }

    private func place(_ position: Position) throws(MartletError) -> StreamPlace {
        guard let place = StreamPlace(position.text) else { throw .foreignPosition }
        return place
    }

    private func read(
        _ stream: Stream, _ selection: Selection?, after start: StreamPlace?, through stop: StreamPlace,
        limit: SliceLimit
    ) throws -> Slice {
        var slice = Slice(records: [], end: stop.position, isComplete: true)
        var place = start?.id
        var (bytes, scanned) = (0, 0)
        var chunk = ChunkSize()
        func end(at id: StreamID?) -> Slice {
            if let id {
                slice.end = StreamPlace(stop.epoch, id).position
                slice.isComplete = false
            }
            return slice
        }
        while scanned < Self.mostScanned {
            let (state, entries) = try stream.read(after: place, through: stop.id, count: chunk.count)
            if state.epoch != knowledge.withLock({ $0.epoch }) { learn(state) }
            guard state.epoch == stop.epoch else {
                // The tail comes to it, too.
                slice.records = []
                slice.gap = stop.position
                slice.gapReason = .epoch
                slice.end = stop.position
                return slice
            }
            if let start, start.epoch != stop.epoch, place == start.id, scanned == 0 {
                place = min(state.trimmed, stop.id)
                slice.gap = place.map { StreamPlace(stop.epoch, $0).position }
                slice.gapReason = .epoch
                if place == stop.id { return slice }
                scanned += 1
                continue
            }
            var through = stop.id
            if let id = place, id < stop.id, start != nil {
                let isTold = slice.gap != nil
                if !isTold, try stream.isTrimmed(selection, after: id, in: state) {
                    // First what was found before it, if there is something.
                    guard slice.records.isEmpty else { return end(at: id) }
                    slice.gap = StreamPlace(stop.epoch, min(max(state.removed, id), stop.id)).position
                } else if let loss = state.loss, id < loss.through {
                    if id < loss.after {
                        through = min(stop.id, loss.after)
                    } else {
                        guard slice.records.isEmpty, !isTold else { return end(at: id) }
                        let next = min(loss.through, stop.id)
                        slice.gap = StreamPlace(stop.epoch, next).position
                        slice.gapReason = .rolledBack
                    }
                }
            }
            for entry in entries where entry.id <= through {
                if let event = entry.event, selection?.contains(event) ?? true {
                    let size = event.byteCount
                    guard limit.admits(size, behind: slice.records.count, of: bytes) else { return end(at: place) }
                    bytes += size
                    slice.records.append(Record(position: StreamPlace(stop.epoch, entry.id).position, event: event))
                }
                place = entry.id
            }
            if through < stop.id, entries.last.map({ $0.id > through }) ?? true || entries.count < chunk.count {
                place = through
                scanned += 1
                continue
            }
            if entries.count < chunk.count { return slice }
            scanned += entries.count
            chunk.adapt(to: entries.count, bytes: entries.reduce(0) { $0 + ($1.event?.byteCount ?? 0) })
        }
        return end(at: place)
    }

    public func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        if id.isExactly(Position.earliest.text) { return Resolution(position: .earliest) }
        let place = StreamPlace(id)
        if let place, knowledge.withLock({ $0.isCurrent(place) }) { return Resolution(position: place.position) }
        return try await readers.run { [self] stream in
            let state = try stream.read(after: nil, through: nil, count: 0).state
            if state.epoch != knowledge.withLock({ $0.epoch }) { learn(state) }
            guard let epoch = state.epoch else { throw LogUnreachable("The stream has not begun anew yet.") }
            let start = StreamPlace(epoch, state.trimmed).position
            if let place, place.epoch == epoch {
                if place.id > state.end { return Resolution(position: start, gap: .rolledBack) }
                if let loss = state.loss, place.id > loss.after, place.id <= loss.through {
                    // What the client saw before is no other than what everybody has. He is told of the loss once.
                    return Resolution(
                        position: StreamPlace(epoch, max(loss.through, state.trimmed)).position, gap: .rolledBack)
                }
                return try resolution(stream, at: place, state, for: selection)
            }
            let (ids, hasLostOne) = try stream.occurrences(of: id, atMost: Self.mostOccurrences)
            // Whether an id exists that is not selected is nobody's business.
            let found = try stream.entries(at: ids).first { entry in
                entry.event.map { $0.hasID(id) && selection.contains($0) } ?? false
            }
            guard let found else { return Resolution(position: start, gap: place == nil ? .unknown : .epoch) }
            if hasLostOne { return Resolution(position: start, gap: .trimmed) }
            return try resolution(stream, at: StreamPlace(epoch, found.id), state, for: selection)
        }
    }

    public func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        try await readers.run { [self] stream in
            let state = try stream.read(after: nil, through: nil, count: 0).state
            if state.epoch != knowledge.withLock({ $0.epoch }) { learn(state) }
            guard let epoch = state.epoch else { throw LogUnreachable("The stream has not begun anew yet.") }
            let age = min(state.clock, UInt64(max(0, age.wholeMilliseconds)))
            let oldest = StreamID.before(milliseconds: state.clock - age)
            return try resolution(stream, at: StreamPlace(epoch, min(oldest, state.end)), state, for: selection)
        }
    }

    private func resolution(
        _ stream: Stream, at place: StreamPlace, _ state: StreamState, for selection: Selection
    ) throws -> Resolution {
        let isTrimmed = try stream.isTrimmed(selection, after: place.id, in: state)
        if isTrimmed {
            return Resolution(
                position: StreamPlace(place.epoch, max(place.id, state.trimmed)).position, gap: .trimmed)
        }
        return Resolution(position: place.position)
    }
}
#endif
