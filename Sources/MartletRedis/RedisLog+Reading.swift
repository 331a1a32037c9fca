// SPDX-License-Identifier: Apache-2.0

#if Redis
public import Martlet
import MartletSupport
import Synchronization

extension RedisLog {
    /// How many entries one slice may examine, about, before it is returned as it is.
    private static let mostScanned = 16_384
    /// How many events with the id of a client are examined for one that it selects. Beyond that, the id counts as
    /// unknown.
    private static let mostOccurrences = 256

    public func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        if after == through { return Slice(records: [], end: through, isComplete: true) }
        let start = try after == .earliest ? nil : place(after)
        let stop = try place(through)
        return try await reading { [self] in
            try read($0, selection, after: start, through: stop, limit: limit)
        }
    }

    private func place(_ position: Position) throws(MartletError) -> StreamPlace {
        guard let place = StreamPlace(position.text) else { throw .foreignPosition }
        return place
    }

    private func read(
        _ connection: StreamConnection, _ selection: Selection?, after start: StreamPlace?, through stop: StreamPlace,
        limit: SliceLimit
    ) throws -> Slice {
        var builder = SliceBuilder(selection, limit: limit, end: stop.position)
        var place = start?.id
        var scanned = 0
        var chunk = ChunkSize()
        func position(_ id: StreamID) -> Position { StreamPlace(stop.epoch, id).position }
        func end(at id: StreamID?) -> Slice {
            if let id { builder.stop(at: position(id)) }
            return builder.slice
        }
        while scanned < Self.mostScanned {
            let (state, entries) = try connection.read(after: place, through: stop.id, count: chunk.count)
            if state.epoch != node.withLock({ $0.epoch }) { saw(state) }
            guard state.epoch == stop.epoch else {
                // The tail will report it as well.
                return Slice(
                    records: [], end: stop.position, isComplete: true, gap: stop.position, gapReason: .epoch)
            }
            if let start, start.epoch != stop.epoch, place == start.id, scanned == 0 {
                place = min(state.trimmed, stop.id)
                builder.slice.gap = place.map(position)
                builder.slice.gapReason = .epoch
                if place == stop.id { return builder.slice }
                scanned += 1
                continue
            }
            var through = stop.id
            if let id = place, id < stop.id, start != nil {
                let hasGap = builder.slice.gap != nil
                if !hasGap, try connection.isTrimmed(selection, after: id, in: state) {
                    // The events in front of the gap come first, if there are any.
                    guard builder.slice.records.isEmpty else { return end(at: id) }
                    builder.slice.gap = position(min(max(state.removed, id), stop.id))
                } else if let loss = state.loss, id < loss.through {
                    if id < loss.after {
                        through = min(stop.id, loss.after)
                    } else {
                        guard builder.slice.records.isEmpty, !hasGap else { return end(at: id) }
                        builder.slice.gap = position(min(loss.through, stop.id))
                        builder.slice.gapReason = .rolledBack
                    }
                }
            }
            for entry in entries where entry.id <= through {
                if let event = entry.event, !builder.append(event, at: position(entry.id)) { return end(at: place) }
                place = entry.id
            }
            if through < stop.id, entries.last.map({ $0.id > through }) ?? true || entries.count < chunk.count {
                place = through
                scanned += 1
                continue
            }
            if entries.count < chunk.count { return builder.slice }
            scanned += entries.count
            chunk.adapt(to: entries.count, bytes: entries.reduce(0) { $0 + ($1.event?.byteCount ?? 0) })
        }
        return end(at: place)
    }

    public func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        if id.isExactly(Position.earliest.text) { return Resolution(position: .earliest) }
        let place = StreamPlace(id)
        if let place, node.withLock({ $0.isCurrent(place) }) { return Resolution(position: place.position) }
        return try await reading { [self] connection in
            let (state, epoch) = try begun(connection)
            let start = StreamPlace(epoch, state.trimmed).position
            if let place, place.epoch == epoch {
                if place.id > state.end { return Resolution(position: start, gap: .rolledBack) }
                if let loss = state.loss, place.id > loss.after, place.id <= loss.through {
                    // Up to the loss, the client saw what all clients saw. It gets one gap for the loss.
                    return Resolution(
                        position: StreamPlace(epoch, max(loss.through, state.trimmed)).position, gap: .rolledBack)
                }
                return try resolution(connection, at: place, state, for: selection)
            }
            let (ids, hasLostOne) = try connection.occurrences(of: id, atMost: Self.mostOccurrences)
            // A client must not learn whether an id exists that it does not select.
            let found = try connection.entries(at: ids).first { entry in
                entry.event.map { $0.hasID(id) && selection.contains($0) } ?? false
            }
            guard let found else { return Resolution(position: start, gap: place == nil ? .unknown : .epoch) }
            if hasLostOne { return Resolution(position: start, gap: .trimmed) }
            return try resolution(connection, at: StreamPlace(epoch, found.id), state, for: selection)
        }
    }

    public func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        try await reading { [self] connection in
            let (state, epoch) = try begun(connection)
            let age = min(state.clock, UInt64(max(0, age.wholeMilliseconds)))
            let oldest = StreamID.before(milliseconds: state.clock - age)
            return try resolution(connection, at: StreamPlace(epoch, min(oldest, state.end)), state, for: selection)
        }
    }

    /// The state of the stream, which has an epoch.
    private func begun(_ connection: StreamConnection) throws -> (state: StreamState, epoch: Epoch) {
        let state = try connection.read(after: nil, through: nil, count: 0).state
        if state.epoch != node.withLock({ $0.epoch }) { saw(state) }
        guard let epoch = state.epoch else { throw LogUnreachable("The stream has no epoch yet.") }
        return (state, epoch)
    }

    private func resolution(
        _ connection: StreamConnection, at place: StreamPlace, _ state: StreamState, for selection: Selection
    ) throws -> Resolution {
        guard try connection.isTrimmed(selection, after: place.id, in: state) else {
            return Resolution(position: place.position)
        }
        return Resolution(position: StreamPlace(place.epoch, max(place.id, state.trimmed)).position, gap: .trimmed)
    }
}
#endif
