// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// The reports of the latest run of a job, from its beginning as far as it is in history, and then as they come. Where
/// the job begins anew meanwhile, those of the new run follow. The sequence ends after the final report, or when the hub
/// stops; it waits for a job that has not begun.
///
/// It throws ``EventValueError`` at an event of the type `job` that is no report, and where reports were removed from
/// history before they were read. Who watches again is given what there is.
public struct JobReports: AsyncSequence, Sendable {
    let hub: Hub
    let name: String
    /// `nil`: from the beginning of the latest run.
    var start: Position?

    public func makeAsyncIterator() -> Iterator { Iterator(reports: self) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let reports: JobReports
        private var events: Events.Iterator?
        private var runs = JobRuns()

        fileprivate init(reports: JobReports) { self.reports = reports }

        /// - Throws: ``EventValueError``, ``Martlet/MartletError`` where no job can have the name, `CancellationError`, or
        ///   what the log throws when history has to be read.
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
