// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The requests for history: first come, first served. Readers that want the same slice wait together and share it.
///
/// Only so many slices are on their way at the same time. A slice is on its way until all its readers have written it, so
/// reading never runs ahead of writing.
///
/// A value, without a lock and without I/O. A reader leaves with ``leave(_:)`` in every case.
struct ReplayLine<Reader> {
    typealias Request = Replayer.Request

    /// The place of a reader in the line.
    struct Ticket: Sendable {
        fileprivate let slice: UInt64
        fileprivate let reader: UInt64
    }

    /// A slice to be read.
    struct Read: Sendable {
        fileprivate let slice: UInt64
        let request: Request
    }

    private struct Entry {
        let request: Request
        var isWaiting = true
        /// The readers that have not received it yet.
        var readers: [UInt64: Reader] = [:]
        /// How many readers have not left, and one for the read itself.
        var holders = 0
    }

    private let capacity: Int
    private var entries: [UInt64: Entry] = [:]
    /// The entries that wait, and some that no reader waits for any more.
    private var line: Deque<UInt64> = []
    /// Those that wait, by what they wait for.
    private var waiting: [Request: UInt64] = [:]
    private(set) var onTheirWay = 0
    private var lastID: UInt64 = 0

    /// - Parameter capacity: The most slices that are on their way.
    init(capacity: Int) { self.capacity = capacity }

    /// How many distinct requests wait.
    var count: Int { waiting.count }

    private mutating func makeID() -> UInt64 {
        lastID += 1
        return lastID
    }

    mutating func join(_ reader: Reader, for request: Request) -> Ticket {
        let slice = waiting[request] ?? append(request)
        let ticket = Ticket(slice: slice, reader: makeID())
        entries[slice]?.readers[ticket.reader] = reader
        entries[slice]?.holders += 1
        return ticket
    }

    private mutating func append(_ request: Request) -> UInt64 {
        let slice = makeID()
        entries[slice] = Entry(request: request)
        waiting[request] = slice
        line.append(slice)
        return slice
    }

    /// The next slice to read; `nil` if no reader waits or enough slices are on their way. Call ``finish(_:)`` after it.
    mutating func next() -> Read? {
        guard onTheirWay < capacity else { return nil }
        while let slice = line.popFirst() {
            guard let request = entries[slice]?.request else { continue }
            waiting[request] = nil
            entries[slice]?.isWaiting = false
            entries[slice]?.holders += 1
            onTheirWay += 1
            return Read(slice: slice, request: request)
        }
        return nil
    }

    /// The readers of a slice that was read.
    mutating func takeReaders(of read: Read) -> [Reader] {
        defer { entries[read.slice]?.readers = [:] }
        return entries[read.slice].map { Array($0.readers.values) } ?? []
    }

    /// All readers have been given what was read.
    mutating func finish(_ read: Read) { release(read.slice) }

    /// A reader does not want what it has asked for any more, or has taken it.
    mutating func leave(_ ticket: Ticket) {
        entries[ticket.slice]?.readers[ticket.reader] = nil
        release(ticket.slice)
    }

    private mutating func release(_ slice: UInt64) {
        entries[slice]?.holders -= 1
        guard let entry = entries[slice], entry.holders == 0 else { return }
        entries[slice] = nil
        guard entry.isWaiting else {
            onTheirWay -= 1
            return
        }
        waiting[entry.request] = nil
        // Before they are the most.
        if line.count > 2 * waiting.count { line.removeAll { entries[$0] == nil } }
    }
}
