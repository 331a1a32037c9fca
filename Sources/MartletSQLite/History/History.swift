// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import MartletSupport
import Synchronization

/// The events in an open file, and the index that finds them.
///
/// A reader that comes to damage gets a gap and continues behind it, and the log is told.
///
/// Only the writing connection changes the index, after each commit. So the index never names an event that is not in
/// the file yet, and an event that a reader does not find was removed in the meantime.
final class History: Sendable {
    let file: LogFile
    let segments: EpochSegments
    let watch: FileWatch
    let retention: Retention
    /// The most topics of which removed events are remembered.
    let trimmedTopics: Int
    /// Called when a reader comes to damage.
    let damaged: @Sendable (any Error) -> Void
    let index: Mutex<HistoryIndex>
    let kept: Mutex<Kept>
    /// The events that were committed and not read by the tail, so that live events are not read from the file.
    /// Publishers wait when there are many.
    let tail: TailBuffer

    init(
        _ contents: LogFile.Contents, in file: LogFile, _ watch: FileWatch, retention: Retention, trimmedTopics: Int,
        damaged: @escaping @Sendable (any Error) -> Void
    ) {
        self.file = file
        self.watch = watch
        self.retention = retention
        self.trimmedTopics = trimmedTopics
        self.damaged = damaged
        segments = contents.segments
        index = Mutex(contents.index)
        kept = Mutex(contents.kept)
        tail = TailBuffer { [segments] in segments.covers($0, $1) }
        tail.begin(at: segments.position(contents.index.last))
    }

    /// The offset up to which the tail was read. Events behind it are not removed.
    var tailed: UInt64 {
        guard let start = tail.start, case .at(let offset) = segments.find(start.text, last: .max) else { return 0 }
        return offset
    }

    /// The offset of the newest event.
    var last: UInt64 { index.withLock { $0.last } }
    /// The time of the newest event.
    var time: Int64 { index.withLock { $0.time } }
    /// In events, and in bytes as retention counts them.
    var size: (events: Int, bytes: Int) { index.withLock { ($0.count, $0.byteCount) } }

    func position(_ offset: UInt64) -> Position { segments.position(offset) }
}

extension History {
    /// How many events with the id of a client are examined for one that it selects. Beyond that, the id counts as
    /// unknown.
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

    /// Finds the first selected event with an id, and whether an earlier one with the id was removed. A client must not
    /// learn whether an id exists that it does not select.
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
            try offsets.partitioningIndex { offset in
                guard let event = index.withLock({ $0.lastEvent(upTo: offset) }) else { return false }
                guard let row = try readable({ try EventRow.read(event, from: database) }) else {
                    // It cannot be read, and may not be older.
                    return true
                }
                // A row that was removed in the meantime is older than the others.
                return row.map { $0.time >= time } ?? false
            }
        }
        // Gaps within history are told by the slices.
        if let older = index.withLock({ $0.lastEvent(upTo: offset - 1) }) {
            return Resolution(position: position(older))
        }
        return Resolution(position: start, gap: isTrimmed ? .trimmed : nil)
    }

    private func resolution(at offset: UInt64, for selection: Selection) -> Resolution {
        let isTrimmed = index.withLock { $0.isTrimmed(selection, after: offset) }
        return isTrimmed ? Resolution(position: start, gap: .trimmed) : Resolution(position: position(offset))
    }

    /// All of history follows it.
    private var start: Position { position(index.withLock { $0.first } - 1) }

    /// Whether an event in history has the id.
    func contains(id: String, in database: Database) throws -> Bool {
        // The newest first; an earlier one is read only if two texts have the same hash.
        for offset in index.withLock({ $0.ids.offsets(of: id) }).reversed() {
            if let row = try EventRow.read(offset, from: database), row.event.hasID(id) { return true }
        }
        return false
    }

    /// The offsets of the events that were published with a key.
    func publish(key: String, in database: Database) throws -> Range<UInt64>? {
        for offset in index.withLock({ $0.publishes.offsets(of: key) }) {
            guard let publish = try EventRow.read(offset, from: database)?.publish else { continue }
            if publish.key.isExactly(key) { return offset..<offset + UInt64(publish.count) }
        }
        return nil
    }
}
