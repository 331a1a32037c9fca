// SPDX-License-Identifier: Apache-2.0

public import Logging
public import Martlet
import Synchronization

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The embedded log that keeps history in a file: it survives the process, and as ``Durability`` says more than that.
///
/// Events that are published while others are being written are written together, in one transaction. An event is accepted
/// once that is committed. What retention removes goes in small parts, between them.
///
/// The file is this process's alone while it is open, and is looked through then: about a second for a million events.
/// Where it was not closed before, a new epoch begins, and ids of the older ones stay known: who saw an event that was
/// lost is told so. The index in memory takes 4 bytes for each event, 20 for each id that a publisher chose and for each
/// idempotency key. Times are the wall clock's; an event is never older than the one before it.
public final class SQLiteLog: Log {
    struct State {
        var phase = Phase.closed
        /// Events that are accepted and that the tail has not been given yet.
        var recent = Recent()
        var waiting = Waiting()
        /// Whether the connection that writes is at work, or has been told to be.
        var isWriting = false
        /// Something could not be removed; it is tried again after a while.
        var waitsToTrim = false
        /// Publishing has failed, and that was said.
        var isFailing = false
        /// Something was removed, so that the file may be too large.
        var mayShrink = false
    }

    enum Phase {
        case closed
        case open(History)
        case closing
    }

    private let path: String
    let durability: Durability
    private let retention: Retention
    private let trimmedTopics: Int
    let logger: Logger
    let now: @Sendable () -> Int64
    let gate: PublishGate<ContinuousClock>
    let state = Mutex(State())
    let appended = Signal()
    let tailed = Signal()
    let maintenance = Maintenance()

    /// - Parameters:
    ///   - path: Of the file, which is made where there is none. Others with the same name and an ending stand beside it.
    ///   - durability: What an accepted event survives.
    ///   - retention: How much history to keep.
    ///   - queue: When publishers wait, and for how long.
    ///   - trimmedTopics: The most topics to remember after all their events were removed.
    ///   - logger: Where the log says how it was opened and what fails; never what is in events.
    public convenience init(
        path: String,
        durability: Durability = .commit,
        retention: Retention = .sqlite,
        queue: PublishQueue = PublishQueue(),
        trimmedTopics: Int = 65_536,
        logger: Logger = Logger(label: "martlet")
    ) {
        self.init(
            path: path, durability: durability, retention: retention, queue: queue, trimmedTopics: trimmedTopics,
            logger: logger, now: { Int64(Date().timeIntervalSince1970 * 1000) })
    }

    /// - Parameter now: What time it is, in milliseconds since 1970.
    package init(
        path: String, durability: Durability = .commit, retention: Retention = .sqlite,
        queue: PublishQueue = PublishQueue(), trimmedTopics: Int = 65_536, logger: Logger = Logger(label: "martlet"),
        now: @escaping @Sendable () -> Int64
    ) {
        self.path = path
        self.durability = durability
        self.retention = retention
        self.trimmedTopics = trimmedTopics
        self.logger = logger
        self.now = now
        gate = PublishGate(queue, clock: ContinuousClock())
    }

    /// - Throws: ``SQLiteLogError`` where the file cannot be used. It is left as it is.
    public func open() async throws -> Position {
        if let history = try? history { return history.position(history.last) }
        let start = ContinuousClock.now
        let file = try LogFile(path)
        let contents = try await file.recover(durability: durability, trimmedTopics: trimmedTopics)
        let history = History(contents, in: file, retention: retention)
        state.withLock { state in
            state.phase = .open(history)
            state.recent = Recent(behind: history.last)
        }
        maintenance.start { [weak self] in self?.maintain() }
        logger.info(
            "The log is open.",
            metadata: [
                "path": "\(path)", "events": "\(history.size.events)", "bytes": "\(history.size.bytes)",
                "closed before": "\(contents.isClean)", "took": "\(ContinuousClock.now - start)",
            ])
        return history.position(history.last)
    }

    /// Writes what waits, and says in the file that nothing was lost.
    public func close() async { await close(properly: true) }

    public func read(
        _ selection: Selection?, after: Position, through: Position, limit: SliceLimit
    ) async throws -> Slice {
        let history = try history
        let through = try offset(through, in: history) ?? 0
        return try await history.read(selection, after: offset(after, in: history), through: through, limit: limit)
    }

    public func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        let history = try history
        let after = try offset(after, in: history)
        let given = state.withLock { $0.recent.start }
        if after ?? 0 < given {
            // This was tailed before.
            let slice = try await history.read(nil, after: after, through: given, limit: limit)
            if !slice.records.isEmpty || slice.gap != nil { return slice }
        }
        let slice = try await appended.wait {
            try self.state.withLock { state in
                guard case .open = state.phase else { throw MartletError.logClosed }
                state.recent.drop(through: after ?? 0)
                return state.recent.isEmpty ? nil : state.recent.take(limit, in: history)
            }
        }
        tailed.fire()
        if history.isTooMuch(at: now(), tailed: history.last) { write() }
        return slice
    }

    public func resolve(_ id: String, for selection: Selection) async throws -> Resolution {
        try await history.resolve(id, for: selection)
    }

    public func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        // Nothing is older than that, and it is a number of milliseconds.
        let age = min(age, .seconds(1 << 40)).components
        let milliseconds = age.seconds * 1000 + age.attoseconds / 1_000_000_000_000_000
        return try await history.resolve(since: now() - milliseconds, for: selection)
    }

    public func covers(_ a: Position, _ b: Position) -> Bool {
        guard b != .earliest else { return true }
        guard a != .earliest, let history = try? history, case .at(let a) = history.segments.find(a, last: .max),
            case .at(let b) = history.segments.find(b, last: .max)
        else { return false }
        return a >= b
    }

    /// What history holds, in events and in bytes as retention counts them.
    public var size: (events: Int, bytes: Int) { (try? history.size) ?? (0, 0) }

    /// What is open.
    var history: History {
        get throws(MartletError) {
            let history: History? = state.withLock { if case .open(let history) = $0.phase { history } else { nil } }
            guard let history else { throw .logClosed }
            return history
        }
    }

    /// The offset of a position of this log; `nil` for the earliest.
    private func offset(_ position: Position, in history: History) throws(MartletError) -> UInt64? {
        if position == .earliest { return nil }
        guard case .at(let offset) = history.segments.find(position, last: .max) else {
            throw .foreignPosition
        }
        return offset
    }
}

extension Retention {
    /// What a log in a file keeps: 1 000 000 events, 1 GiB, 7 days.
    public static let sqlite = Retention(events: 1_000_000, bytes: 1 << 30, age: .seconds(7 * 24 * 60 * 60))
}

extension MartletError {
    static let logClosed = MartletError(.notRunning, "The log is not open. Try again later.")
}
