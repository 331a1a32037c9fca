// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// What history has of a job after some position. Found by going over the events of its topic, a slice at a time; none is
/// kept.
struct JobHistory {
    /// What comes after this is of the latest run: its beginning, where that is in history.
    private(set) var start: Position
    /// Whether there are reports.
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
