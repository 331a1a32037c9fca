// SPDX-License-Identifier: Apache-2.0

import GRDB
public import Logging
public import Martlet
import Synchronization

/// The embedded log that keeps history in a file: it survives the process, and as ``Durability`` says more than that.
///
/// Events that are published while others are being written are written together, in one transaction. An event is accepted
/// once that is committed. What retention removes goes in small parts, between them.
///
/// The file is this process's alone while it is open, and is looked through then: about a second for a million events.
/// Where it was not closed before, a new epoch begins, and ids of the older ones stay known: who saw an event that was
/// lost is told so. The index in memory takes 4 bytes for each event, 20 for each id that a publisher chose and for each
/// idempotency key. Ages do not depend on the wall clock while the log is open (``EventClock``).
///
/// If the file is damaged, removed or replaced while it is open, the log says so once, publishing throws `storageFailed` and
/// ``fault`` says why, until the log is closed and opened again. A reader that meets events that cannot be read receives a
/// gap and continues behind them.
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
        /// This was logged.
        var cannotTidy = false
        /// History cannot be read, and this was logged.
        var cannotRead = false
        /// It is time to check the files.
        var mustCheck = false
        /// What happened to the files.
        var fault: FileFault?
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
    private let clocks: MachineClocks
    private let clock = Mutex<EventClock?>(nil)
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
            logger: logger, clocks: .system)
    }

    init(
        path: String, durability: Durability, retention: Retention, queue: PublishQueue, trimmedTopics: Int = 65_536,
        logger: Logger, clocks: MachineClocks
    ) {
        self.path = path
        self.durability = durability
        self.retention = retention
        self.trimmedTopics = trimmedTopics
        self.logger = logger
        self.clocks = clocks
        gate = PublishGate(queue, clock: ContinuousClock())
    }

    /// - Throws: ``SQLiteLogError`` where the file cannot be used. It is left as it is.
    public func open() async throws -> Position {
        if let history = try? history { return history.position(history.last) }
        let start = ContinuousClock.now
        let file = try LogFile(path)
        let contents: LogFile.Contents
        let watch: FileWatch
        do {
            contents = try await file.recover(durability: durability, trimmedTopics: trimmedTopics)
            watch = try FileWatch(file.path, file.lock)
        } catch {
            try? file.close()
            throw error
        }
        let history = History(contents, in: file, watch, retention: retention) { [weak self] damage in
            _ = self?.fail(.damaged("\(damage)"))
        }
        let newest = contents.index.time
        clock.withLock { clock in
            clock = EventClock(
                wall: clocks.wall(), running: clocks.running(), newest: newest == 0 ? nil : .milliseconds(newest),
                age: retention.age)
        }
        state.withLock { state in
            state.phase = .open(history)
            state.recent = Recent(behind: history.last)
            state.fault = nil
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
        let after = try offset(after, in: history)
        return try await reading {
            try await history.read(selection, after: after, through: through, limit: limit)
        }
    }

    public func tail(after: Position, limit: SliceLimit) async throws -> Slice {
        let history = try history
        let after = try offset(after, in: history)
        let given = state.withLock { $0.recent.start }
        if after ?? 0 < given {
            // This was tailed before.
            let slice = try await reading {
                try await history.read(nil, after: after, through: given, limit: limit)
            }
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
        let history = try history
        return try await reading { try await history.resolve(id, for: selection) }
    }

    public func resolve(since age: Duration, for selection: Selection) async throws -> Resolution {
        let history = try history
        let time = withClock { $0.time(since: age) }.wholeMilliseconds
        return try await reading { try await history.resolve(since: time, for: selection) }
    }

    public func covers(_ a: Position, _ b: Position) -> Bool {
        guard b != .earliest else { return true }
        guard a != .earliest, let history = try? history, case .at(let a) = history.segments.find(a.text, last: .max),
            case .at(let b) = history.segments.find(b.text, last: .max)
        else { return false }
        return a >= b
    }

    /// What history holds, in events and in bytes as retention counts them.
    public var size: (events: Int, bytes: Int) { (try? history.size) ?? (0, 0) }

    /// The time of the log in milliseconds.
    func now() -> Int64 { withClock(\.time).wholeMilliseconds }

    private func withClock(_ body: (EventClock) -> Duration) -> Duration {
        clock.withLock { clock in
            clock?.advance(wall: clocks.wall(), running: clocks.running())
            return clock.map(body) ?? .zero
        }
    }

    public var fault: MartletError? { state.withLock { $0.fault?.error() } }

    /// Refuses every publish from now on.
    ///
    /// - Returns: the error for publishers.
    func fail(_ fault: FileFault, mayHaveAccepted: Bool = false) -> MartletError {
        let isNew = state.withLock { state in
            defer { state.fault = state.fault ?? fault }
            return state.fault == nil
        }
        if isNew {
            logger.error(
                "The files of the log have changed. Publishing fails until they are restored and the hub is restarted.",
                metadata: ["path": "\(path)", "reason": "\(fault)"])
        }
        return fault.error(mayHaveAccepted: mayHaveAccepted)
    }

    /// Reads history. A failure of SQLite is logged once.
    private func reading<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
        do {
            let value = try await body()
            state.withLock { $0.cannotRead = false }
            return value
        } catch let error as DatabaseError {
            let isNew = state.withLock { state in
                defer { state.cannotRead = true }
                return !state.cannotRead
            }
            if isNew { logger.error("History cannot be read.", metadata: ["path": "\(path)", "error": "\(error)"]) }
            throw MartletError(.storageFailed, "History cannot be read at the moment. Try again later.")
        }
    }

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
        guard case .at(let offset) = history.segments.find(position.text, last: .max) else {
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
