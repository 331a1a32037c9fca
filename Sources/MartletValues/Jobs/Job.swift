// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Martlet
import Synchronization

/// A run of a job, with which the job reports its progress. Any task may use it.
public final class Job: Sendable {
    private struct State {
        var fraction: Double?
        var message: String?
        /// Whether these are still to be reported.
        var isDue = false
        /// Whether the hub has accepted a report of the run.
        var hasBegun = false
    }

    /// The name of the job.
    public let name: String
    private let hub: Hub
    private let topic: Topic
    private let reporting: JobReporting
    private let run = UUID().uuidString
    private let started = Date.now
    private let state = Mutex(State())
    private let moved = Signal()

    /// - Throws: ``MartletError`` if a job cannot have this name.
    init(_ name: String, of hub: Hub, reporting: JobReporting) throws {
        self.name = name
        self.hub = hub
        self.topic = try Topic.job(name)
        self.reporting = reporting
        try hub.configuration.limits.check(Event(topic: topic, data: ""))
    }

    /// Reports progress. This never fails and never waits for the hub: if calls come too fast, or if the hub refuses a
    /// report, a later call replaces an earlier one. The last progress is reported before the end of the job.
    ///
    /// - Parameters:
    ///   - fraction: The part of the work that is done, from 0 to 1. Values outside are clamped; if it is not a number, the
    ///     previous fraction stays.
    ///   - message: What the job is doing, for everyone who may watch it.
    public func progress(_ fraction: Double, _ message: String? = nil) async {
        let message = message.map(bounded)
        state.withLock { state in
            if !fraction.isNaN { state.fraction = min(max(fraction, 0), 1) }
            state.message = message
            state.isDue = true
        }
        moved.fire()
    }

    /// Reports the start of the run. If the hub accepts it, every later watcher on this node sees this run.
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

    /// Reports progress that is still due, and the end of the job. Returns when both are published, or after the patience.
    func end(_ outcome: JobReport.State, _ message: String? = nil) async {
        let (due, last) = state.withLock { ($0.isDue ? report(of: $0) : nil, $0.fraction) }
        let final = report(outcome, outcome == .succeeded ? 1 : last, message.map(bounded))
        // A task that is not cancelled together with the job.
        let isReported = await Task {
            await withPatience { await self.insist(on: due.map { [$0, final] } ?? [final]) }
        }.value
        guard !isReported else { return }
        Logger(label: "martlet").warning("The end of a job could not be reported.", metadata: ["job": "\(name)"])
    }

    /// Returns the result of a closure, or `false` if it takes longer than the patience.
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
                // The key prevents a second report if the first was accepted and only the answer was lost.
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

    /// - Returns: The id of the report; `nil` if none was due, or if the hub refused it.
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

    /// The message, cut to the maximum length.
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
    /// Whether a retry may succeed.
    fileprivate var isTemporary: Bool { [.overloaded, .storageFull, .storageFailed].contains(code) }
}

/// A job throws this error to tell its watchers why it failed. They learn nothing of any other error.
public struct JobFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The reason, which watchers see.
    public let message: String

    public init(_ message: String) { self.message = message }

    /// The ``message``.
    public var description: String { message }
}

/// How the progress of a job is reported.
public struct JobReporting: Sendable {
    /// The shortest time between two reports of progress, and the delay before a report that the hub refused is retried.
    public var interval: Duration
    /// The longest time for which the final report is retried. The start of a job does not wait longer either.
    public var patience: Duration
    /// The maximum length of a message, in bytes of UTF-8. Longer messages are cut.
    public var messageBytes: Int
    /// The clock for `interval` and `patience`.
    public var clock: any Clock<Duration>

    public init(
        interval: Duration = .milliseconds(100), patience: Duration = .seconds(10), messageBytes: Int = 1024,
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        self.interval = interval
        self.patience = patience
        self.messageBytes = messageBytes
        self.clock = clock
    }
}
