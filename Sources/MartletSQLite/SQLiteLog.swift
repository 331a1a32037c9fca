// SPDX-License-Identifier: Apache-2.0

import GRDB
public import Logging
public import Martlet
import MartletSupport
import Synchronization

/// The embedded log that keeps history in a file: it survives the process, and more as ``Durability`` says.
///
/// Events that are published while a transaction is written are written together in the next one. An event is accepted
/// once its transaction is committed. Retention removes events in small steps, between the transactions.
///
/// While the log is open, no other process can open the file. Opening checks every row: about a second for a million
/// events. If the log was not closed properly, a new epoch begins, and the ids of older epochs stay known: a client
/// that saw an event that was lost gets a gap. The index in memory takes 4 bytes for each event, and 20 for each
/// publisher's id and each idempotency key; what is known of topics and keys besides history takes about 200 for each,
/// and their names. While the log is open, ages do not depend on the wall clock.
///
/// If the file is damaged, removed or replaced while it is open, this is logged once, publishing throws
/// `storageFailed`, and ``fault`` has the reason until the log is closed and opened again. A reader that comes to
/// unreadable events gets a gap and continues behind them.
///
/// All methods may be called from anywhere, at the same time. Not promised: that a file on a network file system is
/// locked.
public final class SQLiteLog: MeasuredLog {
    struct State {
        var phase = Phase.closed
        var backlog = PublishBacklog(groupEvents: SQLiteLog.groupEvents, groupBytes: SQLiteLog.groupBytes)
        /// Whether the writing connection is at work, or about to be.
        var isWriting = false
        /// Events could not be removed. The next maintenance tries again.
        var waitsToTrim = false
        /// The failure was logged.
        var cannotTidy = false
        /// History cannot be read, and this was logged.
        var cannotRead = false
        /// The files have to be checked.
        var mustCheck = false
        /// What happened to the files.
        var fault: FileFault?
        /// Publishing has failed, and this was logged.
        var isFailing = false
        /// Topics and values were forgotten because of their bounds, and this was logged.
        var hasForgotten = (topics: false, values: false)
        /// Events were removed, so the file may have many empty pages.
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
    private let rules: RetentionRules
    private let trimmedTopics: Int
    private let kept: Kept.Bounds
    let logger: Logger
    private let clocks: MachineClocks
    private let clock = Mutex<EventClock?>(nil)
    let gate: PublishGate<ContinuousClock>
    let state = Mutex(State())
    /// Fires when there may be room for publishers that wait.
    let tailed = Signal()
    let maintenance = MaintenanceTimer()

    /// The most events that are written in one transaction, and the most bytes. A publish is never split.
    static let groupEvents = 1000
    static let groupBytes = 4 * 1024 * 1024

    /// - Parameters:
    ///   - path: The file, which is created if it does not exist. SQLite adds files with the same name and an ending.
    ///   - durability: What an accepted event survives.
    ///   - retention: How much history to keep.
    ///   - rules: How much to keep of single topics. Not for a log that keeps the events of another one.
    ///   - queue: When publishers wait, and for how long.
    ///   - trimmedTopics: The most topics to remember after all their events were removed; at least 2.
    ///   - topics: The most topics to remember that have ended, expire, or have a writer. Beyond it, the topic that changed
    ///     least recently is forgotten.
    ///   - stateKeys: The most keys of which the newest event is kept after retention removed it. Beyond it, the oldest of
    ///     these events goes.
    ///   - stateBytes: The most bytes of these events, counted as ``Event/byteCount``, in the same way.
    ///   - logger: Receives how the log was opened and what fails; never the content of events.
    public convenience init(
        path: String,
        durability: Durability = .commit,
        retention: Retention = .sqlite,
        rules: RetentionRules = [],
        queue: PublishQueue = PublishQueue(),
        trimmedTopics: Int = 65_536,
        topics: Int = TopicBook.defaultCapacity,
        stateKeys: Int = 100_000,
        stateBytes: Int = 64 * 1024 * 1024,
        logger: Logger = Logger(label: "martlet")
    ) {
        self.init(
            path: path, durability: durability, retention: retention, rules: rules, queue: queue,
            trimmedTopics: trimmedTopics, kept: Kept.Bounds(topics: topics, keys: stateKeys, bytes: stateBytes),
            logger: logger, clocks: .system)
    }

    init(
        path: String, durability: Durability, retention: Retention, rules: RetentionRules = [], queue: PublishQueue,
        trimmedTopics: Int = 65_536, kept: Kept.Bounds = Kept.Bounds(), logger: Logger, clocks: MachineClocks
    ) {
        self.path = path
        self.durability = durability
        self.retention = retention
        self.rules = rules
        self.trimmedTopics = trimmedTopics
        self.kept = kept
        self.logger = logger
        self.clocks = clocks
        gate = PublishGate(queue, clock: ContinuousClock())
    }

    /// Opens the file and returns the end of the log. Blocks the thread for some of the time.
    ///
    /// - Throws: ``SQLiteLogError`` if the file cannot be used. It is left as it is.
    public func open() async throws -> Position {
        if let history = try? history { return history.position(history.last) }
        let start = ContinuousClock.now
        let file = try LogFile(path)
        let contents: LogFile.Contents
        let watch: FileWatch
        do {
            contents = try await file.recover(
                durability: durability, rules: rules, trimmedTopics: trimmedTopics, kept: kept)
            watch = try FileWatch(file.path, file.lock)
        } catch {
            try? file.close()
            throw error
        }
        let history = History(contents, in: file, watch, retention: retention, trimmedTopics: trimmedTopics) {
            [weak self] damage in
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

    /// Writes the events that wait, and marks the file as properly closed. The log can be opened again.
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
        _ = try offset(after, in: history)
        let slice = try await history.tail.tail(after: after, limit: limit) { after, through in
            try await read(nil, after: after, through: through, limit: limit)
        }
        tailed.fire()
        if history.exceedsRetention(at: now(), tailed: history.last) { write() }
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
        return a != .earliest && (try? history)?.segments.covers(a, b) ?? false
    }

    /// What outlives history, as of now. Publishing waits while it is read.
    public func present(through end: Position) async throws -> Present {
        let history = try history
        return try await reading {
            try await history.file.pool.writeWithoutTransaction { try history.present(at: .now, in: $0) }
        }
    }

    /// The size of history, in events and in bytes as retention counts them; zero if the log is not open.
    public var size: (events: Int, bytes: Int) { (try? history.size) ?? (0, 0) }

    /// The time for ages, in milliseconds since 1970.
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

    var history: History {
        get throws(MartletError) {
            let history: History? = state.withLock { if case .open(let history) = $0.phase { history } else { nil } }
            guard let history else { throw .logNotOpen }
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

/// What an accepted event survives.
public enum Durability: String, CaseIterable, Sendable {
    /// A crash of the process or the operating system, and a power failure.
    case commit
    /// A crash of the process. If the operating system or the power fails, the newest events may be lost; older events
    /// are not, and the file stays intact.
    case os
}

extension Retention {
    /// The default of a log in a file: 1 000 000 events, 1 GiB, 7 days.
    public static let sqlite = Retention(events: 1_000_000, bytes: 1 << 30, age: .seconds(7 * 24 * 60 * 60))
}
