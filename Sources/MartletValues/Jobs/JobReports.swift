// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// The reports of the latest run of a job: those in history, and then new ones as they come.
///
/// If the job starts again in the meantime, the reports of the new run follow. The sequence ends after the final report, or
/// when the hub stops; it waits for a job that has not started.
///
/// It throws ``EventValueError`` at an event of the type `job` that is not a report, and if reports were removed from
/// history before they were read. A new iteration starts with the reports that are left.
public struct JobReports: AsyncSequence, Sendable {
    let hub: Hub
    let name: String
    /// `nil` for the start of the latest run.
    var start: Position?

    public func makeAsyncIterator() -> Iterator { Iterator(reports: self) }

    /// Reads the reports one at a time.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let reports: JobReports
        private var events: Events.Iterator?
        private var runs = JobRuns()

        fileprivate init(reports: JobReports) { self.reports = reports }

        /// The next report, as soon as there is one; `nil` after the final report, and once the hub has stopped.
        ///
        /// - Throws: ``EventValueError``; ``/Martlet/MartletError`` if a job cannot have this name;
        ///   `CancellationError`; or the log's error if history cannot be read.
        public mutating func next() async throws -> JobReport? { try await nextDelivery()?.value }

        /// The next report with the id of its event.
        package mutating func nextDelivery() async throws -> TypedDelivery<JobReport>? {
            guard !runs.isFinished else { return nil }
            let topic = try Topic.job(reports.name)
            if events == nil {
                let start =
                    if let start = reports.start { start } else {
                        try await JobHistory(of: topic, in: reports.hub, after: .earliest).start
                    }
                let subscription = try await reports.hub.subscribe(to: Selection(topics: [topic]), after: start.text)
                events = Events(subscription).makeAsyncIterator()
            }
            while let delivery = try await events?.next() {
                guard delivery.topic == nil || delivery.type?.isExactly(JobReport.eventType) == true else { continue }
                let report = try TypedDelivery<JobReport>(delivery, on: topic)
                if runs.take(report.value) != .stale { return report }
            }
            return nil
        }
    }
}

/// A summary of the reports of a job in history after a position. It reads the events of the topic one slice at a time, and
/// keeps none.
struct JobHistory {
    /// The position before the latest run, if the start of the run is in history.
    private(set) var start: Position
    /// Whether there is any report.
    private(set) var hasReports = false
    private var runs = JobRuns()

    /// Whether the latest run has ended.
    var isFinished: Bool { runs.isFinished }

    init(of topic: Topic, in hub: Hub, after position: Position) async throws {
        start = position
        let end = try await hub.end(covering: position)
        var place = position
        var isComplete = false
        while !isComplete {
            let slice = try await hub.log.read(
                Selection(topics: [topic]), after: place, through: end, limit: hub.configuration.slice)
            place = slice.gap ?? place
            for record in slice.records {
                take(record, after: place)
                place = record.position
            }
            (place, isComplete) = (slice.end, slice.isComplete)
        }
    }

    private mutating func take(_ record: Record, after place: Position) {
        guard record.event.type?.isExactly(JobReport.eventType) == true,
            let report = try? EventJSON.value(JobReport.self, of: record.event.data)
        else { return }
        hasReports = true
        if runs.take(report) == .beginning { start = place }
    }
}

/// Separates the latest run of a job from earlier ones, given its reports in the order of the log. A value.
///
/// A run starts with `queued` or `running`. From then on only its reports count, even if an earlier run is still at work.
struct JobRuns {
    private var run: String?
    /// Whether the latest run has ended.
    private(set) var isFinished = false

    enum Part {
        case beginning
        case continuation
        /// The report belongs to an earlier run.
        case stale
    }

    mutating func take(_ report: JobReport) -> Part {
        let isSameRun = run?.isExactly(report.run) == true
        let isBeginning = report.isFirst && !isSameRun
        // The start of the first run may no longer be in history.
        guard isBeginning || run == nil || isSameRun else { return .stale }
        run = report.run
        isFinished = report.isFinal
        return isBeginning ? .beginning : .continuation
    }
}
