// SPDX-License-Identifier: Apache-2.0

import Foundation
public import Martlet

/// The progress of long work, for everyone who watches it.
extension Hub {
    /// Runs a job and reports its progress to the topic ``Martlet/Topic/job(_:)``, as ``JobReport``.
    ///
    ///     let count = try await hub.job("import-7") { job in
    ///         await job.progress(0.4, "Reading")
    ///         return try await importAll()
    ///     }
    ///
    /// A run starts with `running` and ends with exactly one final report. That is `succeeded`, or `failed` if the closure
    /// throws. A failure has the message of a ``JobFailure``, `cancelled` if the task was cancelled, and no message for
    /// any other error, so that nothing internal becomes public.
    ///
    /// The work does not fail because a report fails. Progress that the hub refuses is reported later, and the final
    /// report is retried for as long as ``JobReporting/patience`` says.
    ///
    /// Not promised: a process that is killed reports no end.
    ///
    /// - Parameters:
    ///   - name: The name of the job. A name that was used before starts a new run.
    ///   - reporting: How often and for how long to report.
    ///   - body: Does the work, in the caller's task.
    /// - Returns: The result of the closure.
    /// - Throws: ``/Martlet/MartletError`` if a job cannot have this name, before the closure runs; otherwise the error
    ///   of the closure.
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
        // Returning from here cancels it and waits for its end.
        async let _ = job.reportProgress()
        return try await body(job)
    }

    /// Reports that a job is waiting for its turn. The process that runs it, here or elsewhere, then calls
    /// ``job(_:reporting:_:)``.
    ///
    /// When this returns, this node has read the report, so every later ``watchJob(_:)`` here includes it.
    ///
    /// - Parameter message: A message for everyone who may watch the job.
    /// - Throws: ``/Martlet/MartletError`` if a job cannot have this name, or if the hub refuses the report.
    public func markJobQueued(_ name: String, _ message: String? = nil) async throws {
        let report = JobReport(state: .queued, run: UUID().uuidString, message: message, time: .now)
        let id = try await publish(report.event(on: Topic.job(name)))
        _ = try await end(covering: Position(id))
    }

    /// Watches a job: the reports of its latest run, up to the final one.
    ///
    ///     for try await report in hub.watchJob("import-7") { print(report.state, report.fraction ?? 0) }
    ///
    /// The latest run is the latest that this node knows; another node of a shared log may have started one that this
    /// node has not read yet. Finding its start goes over the topic's history once for each iteration.
    public func watchJob(_ name: String) -> JobReports { JobReports(hub: self, name: name) }

    /// Continues to watch a job.
    ///
    /// - Parameter id: The id of the last event that the watcher has seen. Later reports of the same run follow. If a new
    ///   run has started since, or if the id is no longer known, all reports of the latest run follow.
    /// - Returns: `nil` if the job has ended and no report follows this id, so there is nothing left to watch.
    /// - Throws: ``/Martlet/MartletError`` if a job cannot have this name; otherwise the error of the log.
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
