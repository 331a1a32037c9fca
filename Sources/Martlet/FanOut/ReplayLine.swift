// SPDX-License-Identifier: Apache-2.0

import DequeModule

/// The line of those who want to read history: first come, first served. Who wants the same waits together and is given
/// the same.
///
/// Only so many slices are on their way at the same time, and one is until all who were given it have taken it: whoever
/// reads goes no faster than those who write.
///
/// A value, without a lock and without I/O. A reader leaves with ``leave(_:)``, whatever has become of it.
struct ReplayLine<Reader> {
    typealias Request = Replayer.Request

    /// What a reader has that has joined the line.
    struct Ticket: Sendable {
        fileprivate let slice: UInt64
        fileprivate let reader: UInt64
    }

    /// What is to be read.
    struct Errand: Sendable {
        fileprivate let slice: UInt64
        let request: Request
    }

    private struct Entry {
        let request: Request
        var isWaiting = true
        /// Those who have not been given it yet.
        var readers: [UInt64: Reader] = [:]
        /// How many have not left, and whoever reads it.
        var holders = 0
    }

    private let capacity: Int
    private var entries: [UInt64: Entry] = [:]
    /// Those of the entries that wait, and some that nobody waits for any more.
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

    /// What is to be read now; `nil` where nobody waits or enough is on its way. Whoever reads it says when he has.
    mutating func next() -> Errand? {
        guard onTheirWay < capacity else { return nil }
        while let slice = line.popFirst() {
            guard let request = entries[slice]?.request else { continue }
            waiting[request] = nil
            entries[slice]?.isWaiting = false
            entries[slice]?.holders += 1
            onTheirWay += 1
            return Errand(slice: slice, request: request)
        }
        return nil
    }

    /// Who is to be given what was read.
    mutating func takeReaders(of errand: Errand) -> [Reader] {
        defer { entries[errand.slice]?.readers = [:] }
        return entries[errand.slice].map { Array($0.readers.values) } ?? []
    }

    /// All readers have been given what was read.
    mutating func finish(_ errand: Errand) { release(errand.slice) }

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
