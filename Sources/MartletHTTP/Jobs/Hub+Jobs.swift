// SPDX-License-Identifier: Apache-2.0

import Foundation
public import Martlet

/// Work that takes its time, and whoever wants to see how it is doing.
extension Hub {
    /// Does a job and reports how it is doing to the topic ``Martlet/Topic/job(_:)``, as ``JobReport``.
    ///
    ///     let count = try await hub.job("import-7") { job in
    ///         await job.progress(0.4, "Reading")
    ///         return try await importAll()
    ///     }
    ///
    /// Its run begins with `running` and ends with exactly one report that is final: `succeeded`; or `failed` where the
    /// closure throws, with the message of a ``JobFailure``, with `cancelled` where its task was cancelled, and with none
    /// for any other error, so that nothing internal gets out. A process that is killed reports nothing more.
    ///
    /// The work does not fail because it cannot be reported: progress that the hub refuses is reported later, and the
    /// end of the job is tried for as long as `reporting` says.
    ///
    /// - Parameters:
    ///   - name: Names the job; a name that was used before begins a new run.
    ///   - body: Does the work.
    /// - Returns: what the closure returns.
    /// - Throws: ``Martlet/MartletError`` where no job can have the name, before anything is done; else what the closure
    ///   throws.
    public func job<Value>(
        _ name: String, reporting: JobReporting = JobReporting(), _ body: (Job) async throws -> Value
    ) async throws -> Value {
        let job = try Job(name, of: self, reporting: reporting)
        await job.begin()
        do {
            let value = try await withProgressReported(of: job, body)
            await job.end(.succeeded)
            return value
        } catch let error as JobFailure {
            await job.end(.failed, error.message)
            throw error
        } catch {
            await job.end(.failed, error is CancellationError || Task.isCancelled ? "cancelled" : nil)
            throw error
        }
    }

    private func withProgressReported<Value>(of job: Job, _ body: (Job) async throws -> Value) async throws -> Value {
        // Is cancelled and has ended when this returns.
        async let _ = job.reportProgress()
        return try await body(job)
    }

    /// Reports that a job waits for its turn. Whoever does it then calls ``job(_:reporting:_:)``, here or elsewhere. Who
    /// watches the job on this node from now on sees that it waits.
    ///
    /// - Throws: ``Martlet/MartletError`` where no job can have the name, or the hub refuses the report.
    public func markJobQueued(_ name: String, _ message: String? = nil) async throws {
        let report = JobReport(state: .queued, run: UUID().uuidString, message: message, time: .now)
        let id = try await publish(report.event(on: Topic.job(name)))
        _ = try await end(covering: Position(id))
    }

    /// Watches a job: the reports of its latest run, until the final one.
    ///
    ///     for try await report in hub.watchJob("import-7") { print(report.state, report.fraction ?? 0) }
    ///
    /// Finding the beginning of the run goes over the topic's history once. It is the latest run as this node knows it:
    /// another node of a shared log may have begun one that is not read here yet.
    public func watchJob(_ name: String) -> JobReports { JobReports(hub: self, name: name) }

    /// Watches a job from where somebody has watched it before.
    ///
    /// - Parameter id: The id of the last event that was seen. Reports of the same run follow after it; where a new run has
    ///   begun since, or where it is not known any more what was seen, all reports of the latest run.
    /// - Returns: `nil` where the job has ended and nothing comes after this id, so that there is no use in coming back.
    /// - Throws: ``Martlet/MartletError`` where no job can have the name; else what the log throws.
    public func watchJob(_ name: String, after id: String) async throws -> JobReports? {
        let topic = try Topic.job(name)
        var reports = watchJob(name)
        try await waitUntilRunning()
        let seen = try await log.resolve(id, for: Selection(topics: [topic]))
        guard seen.gap == nil else { return reports }
        let rest = try await JobHistory(of: topic, in: self, after: seen.position)
        if !rest.hasReports, try await JobHistory(of: topic, in: self, after: .earliest).isFinished { return nil }
        reports.start = rest.start
        return reports
    }
}
