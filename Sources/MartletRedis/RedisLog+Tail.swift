// SPDX-License-Identifier: Apache-2.0

#if Redis
import Logging
import Martlet
import Synchronization

/// The thread that follows the stream.
extension RedisLog {
    /// How often is said that entries were skipped, at most.
    private static let skipInterval = Duration.seconds(10)

    func startTail() {
        do {
            try startThread { [self] in runTail() }
        } catch {
            endTail()
            failed(RedisLogError.noThread(error.description))
        }
    }

    private func runTail() {
        var tail = Tail()
        var delay = RetryDelay(configuration.retryDelay)
        while !sockets.isClosed {
            do {
                try follow(&tail, &delay)
            } catch let error as RedisError where !isOpen {
                failed(explain(error))
                break
            } catch let error as ThreadError {
                failed(RedisLogError.noThread(error.description))
                break
            } catch {
                guard !sockets.isClosed else { break }
                reachability.failed(error)
                retryBell.wait(atMost: delay.next())
            }
        }
        endTail()
    }

    private func endTail() {
        hasTailEnded.store(true, ordering: .releasing)
        tailEnded.fire()
    }

    /// Where the thread stands.
    private struct Tail {
        /// `nil` until the stream was opened.
        var place: StreamPlace?
        var chunk = ChunkSize()
        /// How many entries were skipped of which was not told yet, and when it was told last.
        var skipped = 0
        var lastTold: ContinuousClock.Instant?
    }

    /// Connects, and reads for as long as the connection lasts.
    private func follow(_ tail: inout Tail, _ delay: inout RetryDelay) throws {
        let stream = try Stream(
            configuration, sockets: sockets, scripts: [.open], extraTime: configuration.checkInterval)
        try reopen(stream, &tail)
        reachability.answered()
        delay.succeeded()
        try opened()
        while !sockets.isClosed {
            guard buffer.waitForRoom(atMost: configuration.checkInterval) else { continue }
            guard let place = tail.place else { return }
            let (state, entries) = try stream.follow(
                after: place.id, count: tail.chunk.count, wait: configuration.checkInterval)
            reachability.answered()
            if state.epoch != place.epoch {
                try reopen(stream, &tail)
            } else if state.removed > place.id || isBehind(place.id, state.loss) {
                // What is in hand may not be all: it is read again together with what was removed.
                try catchUp(stream, &tail)
            } else {
                take(entries, state, &tail)
            }
        }
    }

    /// Opens the stream. Where it has begun anew, everybody is told, and what is in it comes next.
    private func reopen(_ stream: Stream, _ tail: inout Tail) throws {
        let state = try stream.open(known: knowledge.withLock { $0.newestPlace })
        guard let epoch = state.epoch else {
            throw LogUnreachable(
                "\(configuration.stream):log has no epoch of Martlet. Remove that key, or name another stream.")
        }
        learn(state)
        guard let place = tail.place else {
            let start = StreamPlace(epoch, state.end)
            tail.place = start
            knowledge.withLock { $0.tailed = start.id }
            return buffer.begin(at: start.position)
        }
        guard place.epoch != epoch else { return }
        logger.warning("The stream has begun anew, so that history is lost.", metadata: ["epoch": "\(epoch.text)"])
        // Where only what is remembered besides was lost, the events that were read are still there.
        let isThere = try place.id > state.removed && stream.contains(place.id)
        let start = StreamPlace(epoch, isThere ? place.id : state.trimmed)
        tail.place = start
        knowledge.withLock { $0.tailed = start.id }
        buffer.append(gap: (start.position, .epoch), [], end: start.position)
    }

    /// Whether a place is not behind what was lost.
    private func isBehind(_ id: StreamID, _ loss: StreamState.Loss?) -> Bool { loss.map { id < $0.through } ?? false }

    /// Reads what comes next where something before it is gone.
    private func catchUp(_ stream: Stream, _ tail: inout Tail) throws {
        guard let place = tail.place else { return }
        let (state, entries) = try stream.read(after: place.id, through: nil, count: tail.chunk.count)
        guard state.epoch == place.epoch else { return }
        var gap: (StreamID, Gap.Reason)?
        var next = entries
        if state.removed > place.id {
            gap = (state.removed, .trimmed)
        } else if let loss = state.loss, place.id < loss.through {
            if place.id >= loss.after {
                gap = (loss.through, .rolledBack)
            } else {
                // First what is there before it.
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

    /// Hands on what comes next.
    private func take(_ entries: [StreamEntry], _ state: StreamState, _ tail: inout Tail) {
        guard let place = tail.place else { return }
        var records: [Record] = []
        var bytes = 0
        records.reserveCapacity(entries.count)
        for entry in entries {
            guard let event = entry.event else {
                tail.skipped += 1
                continue
            }
            bytes += event.byteCount
            records.append(Record(position: StreamPlace(place.epoch, entry.id).position, event: event))
        }
        let end = entries.last?.id ?? place.id
        tail.chunk.adapt(to: entries.count, bytes: bytes)
        tail.place?.id = end
        let skipped = entries.count - records.count
        // Before anybody has the events: who asks for them then is answered with what is known.
        learn(state)
        knowledge.withLock { knowledge in
            knowledge.tailed = end
            knowledge.skipped += skipped
        }
        see(end, in: place.epoch)
        if !entries.isEmpty { buffer.append(records, end: StreamPlace(place.epoch, end).position) }
        tellSkipped(&tail)
    }

    private func tellSkipped(_ tail: inout Tail) {
        guard tail.skipped > 0, tail.lastTold.map({ .now - $0 > Self.skipInterval }) ?? true else { return }
        logger.warning(
            "Entries of the stream are no events, and were skipped.", metadata: ["count": "\(tail.skipped)"])
        tail.skipped = 0
        tail.lastTold = .now
    }

    private func explain(_ error: RedisError) -> RedisLogError {
        if error.description.utf8.contains("WRONGTYPE".utf8) { return .wrongType(key: configuration.stream) }
        return .unsupported(error.description)
    }

    // MARK: What is known

    func learn(_ state: StreamState) {
        let isNew = knowledge.withLock { $0.learn(state) }
        newestOnServer.withLock { newest in
            newest = isNew ? state.last : max(newest, state.last)
        }
    }

    /// There is such an entry.
    func see(_ id: StreamID, in epoch: Epoch) {
        knowledge.withLock { $0.see(id, in: epoch) }
        newestOnServer.withLock { $0 = max($0, id) }
    }
}

/// How many entries are asked for at once, so that they are neither few nor large.
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
