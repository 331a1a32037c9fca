// SPDX-License-Identifier: Apache-2.0

#if Redis
import Logging
import Martlet
import MartletSupport
import Synchronization

/// The thread that follows the stream.
extension RedisLog {
    /// The least time between two log messages about skipped entries.
    private static let skipInterval = Duration.seconds(10)

    func runTail() {
        var tail = Tail()
        var delay = RetryDelay(configuration.retryDelay)
        while !sockets.isClosed {
            do {
                try follow(&tail, &delay)
            } catch let error as RedisError where !lifecycle.isOpen {
                return lifecycle.failed(explain(error))
            } catch let error as ThreadError {
                return lifecycle.failed(RedisLogError.noThread(error.description))
            } catch {
                guard !sockets.isClosed else { return }
                reachability.failed(error)
                lifecycle.pause(atMost: delay.next())
            }
        }
    }

    /// How far the thread has come.
    private struct Tail {
        /// `nil` until the stream was opened.
        var place: StreamPlace?
        var chunk = ChunkSize()
        /// The number of skipped entries that were not logged yet.
        var skipped = 0
        var lastLogged: ContinuousClock.Instant?
    }

    /// Connects, and reads while the connection lasts.
    private func follow(_ tail: inout Tail, _ delay: inout RetryDelay) throws {
        let connection = try StreamConnection(
            configuration, sockets: sockets, scripts: [.open], extraTime: configuration.checkInterval)
        try reopen(connection, &tail)
        reachability.answered()
        delay.succeeded()
        try opened()
        while !sockets.isClosed {
            guard buffer.waitForRoom(atMost: configuration.checkInterval) else { continue }
            guard let place = tail.place else { return }
            let (state, entries) = try connection.follow(
                after: place.id, count: tail.chunk.count, wait: configuration.checkInterval)
            reachability.answered()
            if state.epoch != place.epoch {
                try reopen(connection, &tail)
            } else if state.removed > place.id || state.loss.map({ place.id < $0.through }) ?? false {
                // Entries may be missing: read again, in one step with the state.
                try catchUp(connection, &tail)
            } else {
                take(entries, state, &tail)
            }
        }
    }

    /// Opens the stream. If it is in a new epoch, readers get a gap, and then what is in it.
    private func reopen(_ connection: StreamConnection, _ tail: inout Tail) throws {
        let state = try connection.open(known: node.withLock { $0.newestPlace })
        guard let epoch = state.epoch else {
            throw LogUnreachable(
                "\(configuration.stream):log has no epoch of Martlet. Remove that key, or choose another stream.")
        }
        saw(state)
        guard let place = tail.place else {
            let start = StreamPlace(epoch, state.end)
            tail.place = start
            node.withLock { $0.tailed = start.id }
            return buffer.begin(at: start.position)
        }
        guard place.epoch != epoch else { return }
        logger.warning("The stream was deleted, so history is lost.", metadata: ["epoch": "\(epoch.text)"])
        // If only the keys next to the stream were lost, the events that the tail has read are still there.
        let isThere = try place.id > state.removed && connection.contains(place.id)
        let start = StreamPlace(epoch, isThere ? place.id : state.trimmed)
        tail.place = start
        node.withLock { $0.tailed = start.id }
        buffer.append(gap: (start.position, .epoch), [], end: start.position)
    }

    /// Reads what comes next if entries in front of it are gone.
    private func catchUp(_ connection: StreamConnection, _ tail: inout Tail) throws {
        guard let place = tail.place else { return }
        let (state, entries) = try connection.read(after: place.id, through: nil, count: tail.chunk.count)
        guard state.epoch == place.epoch else { return }
        var gap: (StreamID, Gap.Reason)?
        var next = entries
        if state.removed > place.id {
            gap = (state.removed, .trimmed)
        } else if let loss = state.loss, place.id < loss.through {
            if place.id >= loss.after {
                gap = (loss.through, .rolledBack)
            } else {
                // The entries in front of the loss come first.
                next = entries.filter { $0.id <= loss.after }
                if next.isEmpty { gap = (loss.through, .rolledBack) }
            }
        }
        if let (id, reason) = gap {
            let position = StreamPlace(place.epoch, id).position
            tail.place?.id = id
            next = entries.filter { $0.id > id }
            if let loss = state.loss, id < loss.through { next = next.filter { $0.id <= loss.after } }
            buffer.append(gap: (position, reason), [], end: position)
        }
        take(next, state, &tail)
    }

    /// Hands over what comes next.
    private func take(_ entries: [StreamEntry], _ state: StreamState, _ tail: inout Tail) {
        guard let place = tail.place else { return }
        var records: [Record] = []
        var bytes = 0
        records.reserveCapacity(entries.count)
        for entry in entries {
            guard let event = entry.event else { continue }
            bytes += event.byteCount
            records.append(
                Record(position: StreamPlace(place.epoch, entry.id).position, event: event, time: entry.id.time))
        }
        let end = entries.last?.id ?? place.id
        tail.chunk.adapt(to: entries.count, bytes: bytes)
        tail.place?.id = end
        let skipped = entries.count - records.count
        tail.skipped += skipped
        // Before the hub has the events: clients that ask for them then are answered from this.
        saw(state)
        node.withLock { node in
            node.tailed = end
            node.skipped += skipped
        }
        saw(end, in: place.epoch)
        if !entries.isEmpty { buffer.append(records, end: StreamPlace(place.epoch, end).position) }
        logSkipped(&tail)
    }

    private func logSkipped(_ tail: inout Tail) {
        guard tail.skipped > 0, tail.lastLogged.map({ .now - $0 > Self.skipInterval }) ?? true else { return }
        logger.warning(
            "Entries of the stream were skipped because they are not valid events.",
            metadata: ["count": "\(tail.skipped)"])
        tail.skipped = 0
        tail.lastLogged = .now
    }

    private func explain(_ error: RedisError) -> RedisLogError {
        if error.description.utf8.contains("WRONGTYPE".utf8) { return .wrongType(key: configuration.stream) }
        return .unsupported(error.description)
    }
}

/// How many entries to read at once, so that an answer is neither small nor large.
struct ChunkSize {
    private(set) var count = 64

    private static let counts = 8...1024
    private static let bytes = 512 * 1024

    mutating func adapt(to entries: Int, bytes: Int) {
        if bytes > 2 * Self.bytes {
            count = max(count / 4, Self.counts.lowerBound)
        } else if entries == count, bytes < Self.bytes {
            count = min(count * 2, Self.counts.upperBound)
        }
    }
}
#endif
