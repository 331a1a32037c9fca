// SPDX-License-Identifier: Apache-2.0

import GRDB
import Logging
public import Martlet
import Synchronization

extension SQLiteLog {
    /// - Throws: ``MartletError`` where the id of an event could be taken for a position of this log, where the key was
    ///   given with other events, where there is no room (`storageFull`), where the file cannot be written or has a
    ///   ``fault`` (`storageFailed`), and where the tail or the disk stays behind for too long (`overloaded`).
    public func append(_ events: [Event], once key: String?) async throws -> [Position] {
        let history = try history
        for case let id? in events.lazy.map(\.id) where history.segments.find(id, last: .max) != nil {
            throw MartletError.reservedID
        }
        guard !events.isEmpty else { return [] }
        if let fault { throw fault }
        let byteCount = events.reduce(0) { $0 + $1.byteCount }
        try await gate.enter(tailed) { self.reserve(byteCount) ? () : nil }
        return try await withCheckedThrowingContinuation { continuation in
            let publish = Commit.Publish(events: events, key: key, continuation: continuation, byteCount: byteCount)
            let isOpen = state.withLock { state in
                guard case .open = state.phase else { return false }
                state.waiting.append(publish)
                return true
            }
            if isOpen { write() } else { continuation.resume(throwing: MartletError.logClosed) }
        }
    }

    private func reserve(_ byteCount: Int) -> Bool {
        state.withLock { state in
            guard state.recent.byteCount + state.waiting.byteCount < gate.queue.backlogBytes else { return false }
            state.waiting.reserve(byteCount)
            return true
        }
    }

    /// Has the connection that writes do what there is to do.
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

    /// Called every second: checks the files, removes events that are too old, and retries what failed.
    func maintain() {
        state.withLock { state in
            state.waitsToTrim = false
            state.mustCheck = true
        }
        write()
    }

    /// Does one thing. Returns whether there may be more.
    func writeNext(_ history: History, in database: Database) -> Bool {
        let (group, state) = state.withLock { state in
            let group = state.waiting.takeGroup()
            defer { if group.isEmpty { state.mustCheck = false } }
            return (group, state)
        }
        let tailed = state.recent.start
        if !group.isEmpty {
            commit(group, to: history, tailed: tailed, in: database)
        } else if state.mustCheck, state.fault == nil {
            attempt("The files of the log cannot be checked.") { try history.watch.check(database) }
        } else if state.fault == nil, !state.waitsToTrim, history.isTooMuch(at: now(), tailed: tailed) {
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
                state.isWriting = state.waiting.count > 0
                return state.isWriting
            }
        }
        return true
    }

    /// Does work that no publisher waits for. A failure is logged once, and retried later.
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

    private func commit(_ group: [Commit.Publish], to history: History, tailed: UInt64, in database: Database) {
        var isCommitted = false
        do {
            if let fault = state.withLock({ $0.fault }) { throw fault }
            try history.watch.check(database)
            let commit = try history.commit(group, at: now(), tailed: tailed, in: database)
            isCommitted = true
            // Events in a file that no path leads to are not acknowledged.
            try history.watch.note()
            let hasFailed = state.withLock { state in
                for row in commit.rows { state.recent.append(row.event, at: history.position(row.offset)) }
                defer { state.isFailing = false }
                return state.isFailing
            }
            if hasFailed { logger.notice("Publishing works again.") }
            appended.fire()
            for (publish, answer) in zip(group, commit.answers) {
                publish.continuation.resume(with: answer.map { $0.map(history.position) })
            }
        } catch {
            let error = explain(error, isCommitted: isCommitted)
            for publish in group { publish.continuation.resume(throwing: error) }
        }
        // There is room again where what waited was known already, or came to nothing.
        self.tailed.fire()
    }

    private func explain(_ error: any Error, isCommitted: Bool) -> MartletError {
        if let fault = error as? FileFault { return fail(fault, mayHaveAccepted: isCommitted) }
        if error.isDamage, (error as? DatabaseError)?.resultCode != .SQLITE_IOERR { return fail(.damaged("\(error)")) }
        let isNew = state.withLock { state in
            defer { state.isFailing = true }
            return !state.isFailing
        }
        if isNew { logger.error("What is published cannot be written.", metadata: ["error": "\(error)"]) }
        if (error as? DatabaseError)?.resultCode == .SQLITE_FULL {
            return MartletError(.storageFull, "There is no room for what is published. Nothing was; try again later.")
        }
        return MartletError(.storageFailed, "What is published cannot be written. Nothing was; try again later.")
    }

    /// - Parameter isProper: Whether it is remembered that nothing was lost; else it is left as by a crash.
    func close(properly isProper: Bool) async {
        maintenance.stop()
        let history: History? = state.withLock { state in
            guard case .open(let history) = state.phase else { return nil }
            state.phase = .closing
            return history
        }
        guard let history else { return }
        do {
            // Also where the task is cancelled.
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                history.file.pool.asyncWriteWithoutTransaction { database in
                    // What waits was put there before.
                    while self.writeNext(history, in: database) {}
                    // A log with a fault stays as it is.
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
        appended.fire()
    }

    /// Leaves everything as a crash of the process would, for tests.
    package func abandon() async { await close(properly: false) }
}
