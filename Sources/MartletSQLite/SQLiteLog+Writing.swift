// SPDX-License-Identifier: Apache-2.0

import Dispatch
import GRDB
import Logging
public import Martlet
import Synchronization

extension SQLiteLog {
    /// - Throws: ``/Martlet/MartletError``: `invalidID` if the id of an event has the form of a position of this log,
    ///   `keyReused` if the key was used with other events, `storageFull` if the disk is full, `storageFailed` if the
    ///   file cannot be written or has a ``fault``, `overloaded` if the hub or the disk stays behind for too long.
    public func append(_ events: [Event], once key: String?) async throws -> [Position] {
        let history = try history
        for case let id? in events.lazy.map(\.id) where history.segments.find(id, last: .max) != nil {
            throw MartletError.reservedID
        }
        guard !events.isEmpty else { return [] }
        if let fault { throw fault }
        let byteCount = events.reduce(0) { $0 + $1.byteCount }
        try await gate.enter(tailed) { self.reserve(byteCount, in: history) ? () : nil }
        return try await withCheckedThrowingContinuation { continuation in
            let publish = PendingPublish(events, once: key, byteCount: byteCount) { continuation.resume(with: $0) }
            let isOpen = state.withLock { state in
                guard case .open = state.phase else { return false }
                state.backlog.append(publish)
                return true
            }
            if isOpen { write() } else { continuation.resume(throwing: MartletError.logNotOpen) }
        }
    }

    private func reserve(_ byteCount: Int, in history: History) -> Bool {
        state.withLock { state in
            guard history.tail.byteCount + state.backlog.byteCount < gate.queue.backlogBytes else { return false }
            state.backlog.reserve(byteCount)
            return true
        }
    }

    /// Lets the writing connection do what there is to do.
    func write() {
        let history: History? = state.withLock { state in
            guard !state.isWriting, case .open(let history) = state.phase else { return nil }
            state.isWriting = true
            return history
        }
        guard let history else { return }
        history.file.pool.asyncWriteWithoutTransaction { database in
            while self.writeNext(history, in: database) {}
        }
    }

    /// Runs every second: checks the files, removes events that are too old, and retries what failed.
    func maintain() {
        state.withLock { state in
            state.waitsToTrim = false
            state.mustCheck = true
        }
        write()
    }

    /// Does one piece of work. Returns whether there may be more.
    func writeNext(_ history: History, in database: Database) -> Bool {
        let (group, state) = state.withLock { state in
            let group = state.backlog.takeGroup().group
            defer { if group.isEmpty { state.mustCheck = false } }
            return (group, state)
        }
        let tailed = history.tailed
        if !group.isEmpty {
            commit(group, to: history, tailed: tailed, in: database)
        } else if state.mustCheck, state.fault == nil {
            attempt("The files of the log cannot be checked.") { try history.watch.check(database) }
        } else if state.fault == nil, !state.waitsToTrim, history.exceedsRetention(at: now(), tailed: tailed) {
            attempt("Old events cannot be removed.") {
                try history.watch.check(database)
                try history.trim(at: now(), tailed: tailed, in: database)
                try history.watch.note()
                self.state.withLock { $0.mayShrink = true }
            }
        } else if state.fault == nil, state.mayShrink {
            attempt("The file cannot be made smaller.") {
                try history.watch.check(database)
                let isLeft = try history.shrink(in: database)
                try history.watch.note()
                self.state.withLock { $0.mayShrink = isLeft }
            }
        } else {
            return self.state.withLock { state in
                state.isWriting = !state.backlog.isEmpty
                return state.isWriting
            }
        }
        return true
    }

    /// Does work that no publisher waits for. A failure is logged once, and the next maintenance tries again.
    private func attempt(_ complaint: Logger.Message, _ body: () throws -> Void) {
        do {
            try body()
            state.withLock { $0.cannotTidy = false }
        } catch let fault as FileFault {
            _ = fail(fault)
        } catch let error where error.isDamage {
            _ = fail(.damaged("\(error)"))
        } catch {
            let isNew = state.withLock { state in
                state.waitsToTrim = true
                state.mayShrink = false
                defer { state.cannotTidy = true }
                return !state.cannotTidy
            }
            if isNew { logger.warning(complaint, metadata: ["error": "\(error)"]) }
        }
    }

    private func commit(_ all: [PendingPublish], to history: History, tailed: UInt64, in database: Database) {
        let group = all.filter { $0.mustFail?() != true }
        for publish in all where publish.mustFail?() == true { publish.answer(.failure(MartletError.logNotOpen)) }
        guard !group.isEmpty else { return }
        var isCommitted = false
        do {
            if let fault = state.withLock({ $0.fault }) { throw fault }
            try history.watch.check(database)
            let commit = try history.commit(group, at: now(), tailed: tailed, in: database)
            isCommitted = true
            complainOfForgotten(history)
            // Events in a file that no path leads to are not acknowledged.
            try history.watch.note()
            let records = commit.rows.map {
                Record(position: history.position($0.offset), event: $0.event, time: commit.wallTime)
            }
            if let end = records.last?.position { history.tail.append(records, end: end) }
            let hasFailed = state.withLock { state in
                defer { state.isFailing = false }
                return state.isFailing
            }
            if hasFailed { logger.notice("Publishing works again.") }
            for (publish, answer) in zip(group, commit.answers) {
                publish.answer(answer.map { $0.map(history.position) }.mapError { $0 as any Error })
            }
        } catch {
            let error = explain(error, isCommitted: isCommitted)
            for publish in group { publish.answer(.failure(error)) }
        }
        // There is room again if the group had only known keys, or failed.
        self.tailed.fire()
    }

    private func complainOfForgotten(_ history: History) {
        let (topics, values) = history.kept.withLock { ($0.topics.forgotten, $0.values.forgotten) }
        guard topics > 0 || values > 0 else { return }
        let (newTopics, newValues) = state.withLock { state in
            defer { state.hasForgotten = (topics > 0, values > 0) }
            return (topics > 0 && !state.hasForgotten.topics, values > 0 && !state.hasForgotten.values)
        }
        if newTopics { logger.warning("The log forgets what it knows of the topics that changed least recently.") }
        if newValues { logger.warning("The log forgets the oldest values of keys.") }
    }

    private func explain(_ error: any Error, isCommitted: Bool) -> MartletError {
        if let fault = error as? FileFault { return fail(fault, mayHaveAccepted: isCommitted) }
        if error.isDamage, (error as? DatabaseError)?.resultCode != .SQLITE_IOERR { return fail(.damaged("\(error)")) }
        let isNew = state.withLock { state in
            defer { state.isFailing = true }
            return !state.isFailing
        }
        if isNew { logger.error("Events cannot be written.", metadata: ["error": "\(error)"]) }
        if (error as? DatabaseError)?.resultCode == .SQLITE_FULL {
            return MartletError(.storageFull, "The disk is full. Nothing was published; try again later.")
        }
        return MartletError(.storageFailed, "The log cannot be written. Nothing was published; try again later.")
    }

    /// - Parameter isProper: Whether to mark the file as properly closed. If not, it is left as a crash leaves it.
    func close(properly isProper: Bool) async {
        maintenance.stop()
        let history: History? = state.withLock { state in
            guard case .open(let history) = state.phase else { return nil }
            state.phase = .closing
            return history
        }
        guard let history else { return }
        do {
            // Also if this task is cancelled.
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                history.file.pool.asyncWriteWithoutTransaction { database in
                    // The publishes that wait came before the phase changed.
                    while self.writeNext(history, in: database) {}
                    // A file with a fault stays as it is.
                    let mayFinish = isProper && self.state.withLock { $0.fault == nil }
                    continuation.resume(with: Result { if mayFinish { try history.finish(in: database) } })
                }
            }
        } catch {
            logger.error("The log was not closed properly.", metadata: ["error": "\(error)"])
        }
        do {
            let isDamaged = state.withLock { if case .damaged = $0.fault { true } else { false } }
            try history.file.close(leavesFiles: isDamaged || history.watch.hasForeignJournal)
        } catch {
            logger.error("The file of the log was not closed.", metadata: ["error": "\(error)"])
        }
        state.withLock { $0.phase = .closed }
        history.tail.close()
    }

    /// Leaves the file as a crash of the process does, for tests.
    package func abandon() async { await close(properly: false) }
}

/// Calls a closure every second.
final class MaintenanceTimer: Sendable {
    private let timer = Mutex<(any DispatchSourceTimer)?>(nil)

    func start(_ body: @escaping @Sendable () -> Void) {
        timer.withLock { timer in
            let new = DispatchSource.makeTimerSource()
            new.schedule(deadline: .now() + .seconds(1), repeating: .seconds(1))
            new.setEventHandler(handler: body)
            new.activate()
            timer = new
        }
    }

    func stop() {
        timer.withLock { timer in
            timer?.cancel()
            timer = nil
        }
    }

    deinit { stop() }
}
