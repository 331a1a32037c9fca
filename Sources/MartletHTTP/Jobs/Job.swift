// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Martlet
import Synchronization

/// A run of a job, for the job itself: where it says how far it has come.
public final class Job: Sendable {
    private struct State {
        var fraction: Double?
        var message: String?
        /// Whether that is still to be reported.
        var isDue = false
        /// Whether the hub has accepted that the run has begun.
        var hasBegun = false
    }

    public let name: String
    private let hub: Hub
    private let topic: Topic
    private let reporting: JobReporting
    private let run = UUID().uuidString
    private let started = Date.now
    private let state = Mutex(State())
    private let moved = Signal()

    /// - Throws: ``MartletError`` where no job can have this name.
    init(_ name: String, of hub: Hub, reporting: JobReporting) throws {
        self.name = name
        self.hub = hub
        self.topic = try Topic.job(name)
        self.reporting = reporting
        try hub.configuration.limits.check(Event(topic: topic, data: ""))
    }

    /// Says how far the job has come. It never fails, and holds up nothing: what comes too fast, or while the hub refuses it,
    /// is superseded by what comes later. The last of it is reported before the end.
    ///
    /// - Parameters:
    ///   - fraction: How much is done, from 0 to 1; what is outside is taken for the nearer of them, and what is not a number
    ///     for what was said before.
    ///   - message: What is being done, for everybody who may watch the job.
    public func progress(_ fraction: Double, _ message: String? = nil) async {
        let message = message.map(bounded)
        state.withLock { state in
            if !fraction.isNaN { state.fraction = min(max(fraction, 0), 1) }
            state.message = message
            state.isDue = true
        }
        moved.fire()
    }

    /// Reports that the job has begun. Where the hub takes it, whoever watches the job on this node from now on sees this run.
    func begin() async {
        state.withLock { $0.isDue = true }
        _ = await withPatience {
            guard let id = await self.reportIfDue() else { return false }
            return (try? await self.hub.end(covering: Position(id))) != nil
        }
    }

    /// Reports progress until the task is cancelled.
    func reportProgress() async {
        while !Task.isCancelled {
            do {
                try await moved.wait { state.withLock { $0.isDue } ? () : nil }
                _ = await reportIfDue()
                try await reporting.clock.sleep(for: reporting.interval)
            } catch { return }
        }
    }

    /// Reports what is due, with what came before where the hub has not accepted it, and that the job has ended. Returns once
    /// it is published, or cannot be for too long.
    func end(_ outcome: JobReport.State, _ message: String? = nil) async {
        let (due, last) = state.withLock { ($0.isDue ? report(of: $0) : nil, $0.fraction) }
        let final = report(outcome, outcome == .succeeded ? 1 : last, message.map(bounded))
        // Goes on where the job's own task was cancelled.
        let isReported = await Task {
            await withPatience { await self.insist(on: due.map { [$0, final] } ?? [final]) }
        }.value
        guard !isReported else { return }
        Logger(label: "martlet").warning("It could not be reported that a job has ended.", metadata: ["job": "\(name)"])
    }

    /// Says whether a closure has done what it was to do, in time.
    private func withPatience(_ body: @escaping @Sendable () async -> Bool) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask(operation: body)
            group.addTask {
                try? await self.reporting.clock.sleep(for: self.reporting.patience)
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }

    private func insist(on reports: [JobReport]) async -> Bool {
        while !Task.isCancelled {
            do {
                let events = try reports.map { try $0.event(on: topic) }
                // With a key, so that what was accepted when the answer got lost is not reported twice.
                try await hub.publish(contentsOf: events, once: "job \(run)")
                return true
            } catch let error as MartletError where !error.isTemporary {
                return false
            } catch {
                try? await reporting.clock.sleep(for: reporting.interval)
            }
        }
        return false
    }

    /// - Returns: the id of the report; `nil` where there was none, or the hub has refused it.
    private func reportIfDue() async -> String? {
        let due = state.withLock { state -> JobReport? in
            guard state.isDue else { return nil }
            state.isDue = false
            return report(of: state)
        }
        guard let due else { return nil }
        do {
            let id = try await hub.publish(due.event(on: topic))
            state.withLock { $0.hasBegun = true }
            return id
        } catch {
            state.withLock { $0.isDue = true }
            return nil
        }
    }

    private func report(of state: State) -> JobReport {
        report(state.hasBegun ? .progress : .running, state.fraction, state.message)
    }

    private func report(_ state: JobReport.State, _ fraction: Double?, _ message: String?) -> JobReport {
        JobReport(state: state, run: run, fraction: fraction, message: message, time: .now, started: started)
    }

    /// The message as far as it is not too long.
    private func bounded(_ message: String) -> String {
        guard message.utf8.count > reporting.messageBytes else { return message }
        var bytes = 0
        let scalars = message.unicodeScalars.prefix { scalar in
            bytes += UTF8.width(scalar)
            return bytes <= reporting.messageBytes
        }
        return String(scalars)
    }
}

extension MartletError {
    /// Whether the same may be accepted later.
    fileprivate var isTemporary: Bool { [.overloaded, .storageFull, .storageFailed].contains(code) }
}
