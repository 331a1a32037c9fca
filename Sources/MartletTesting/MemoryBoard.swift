// SPDX-License-Identifier: Apache-2.0

public import Martlet
import Synchronization

/// A board in memory, for hubs in one process. Any task may use it.
public final class MemoryBoard<BoardClock: Clock<Duration>>: NodeBoard {
    private struct Entry {
        var posting: NodePosting
        var end: BoardClock.Instant
    }

    /// The board is away; every call throws this error.
    public struct Away: Error {}

    private struct State {
        var entries: [NodeName: Entry] = [:]
        var isAway = false
        /// The number of reads of a posting.
        var reads = 0
    }

    public let maximumBytes: Int
    private let clock: BoardClock
    private let state = Mutex(State())

    /// - Parameters:
    ///   - clock: The clock by which postings expire.
    ///   - maximumBytes: The size of the largest posting that the board takes.
    public init(clock: BoardClock, maximumBytes: Int = NodePosting.defaultMaximumBytes) {
        self.clock = clock
        self.maximumBytes = maximumBytes
    }

    /// Whether every call throws ``Away``. Postings still expire.
    public var isAway: Bool {
        get { state.withLock { $0.isAway } }
        set { state.withLock { $0.isAway = newValue } }
    }

    /// The number of reads of a posting so far.
    public var readCount: Int { state.withLock { $0.reads } }

    /// Forgets all postings, like a board that restarts.
    public func clear() { state.withLock { $0.entries = [:] } }

    public func post(_ posting: NodePosting, as node: NodeName, for expiry: Duration) async throws {
        try check(posting)
        try use { $0.entries[node] = Entry(posting: posting, end: clock.now.advanced(by: expiry)) }
    }

    public func renew(_ node: NodeName, for expiry: Duration) async throws -> Bool {
        try use { state in
            guard state.entries[node] != nil else { return false }
            state.entries[node]?.end = clock.now.advanced(by: expiry)
            return true
        }
    }

    public func remove(_ node: NodeName) async throws {
        try use { $0.entries[node] = nil }
    }

    public func versions() async throws -> [NodeName: UInt64] {
        try use { $0.entries.mapValues(\.posting.version) }
    }

    public func posting(of node: NodeName) async throws -> NodePosting? {
        try use { state in
            state.reads += 1
            return state.entries[node]?.posting
        }
    }

    private func use<Value: Sendable>(_ body: (inout State) -> Value) throws -> Value {
        let now = clock.now
        return try state.withLock { state in
            guard !state.isAway else { throw Away() }
            state.entries = state.entries.filter { $0.value.end > now }
            return body(&state)
        }
    }
}
