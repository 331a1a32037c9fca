// SPDX-License-Identifier: Apache-2.0

public import Foundation
public import Martlet

/// The progress of a job: the data, as JSON, of an event of the type `job` on the topic ``Martlet/Topic/job(_:)``.
///
///     {"fraction":0.4,"message":"Reading","run":"…","started":"2026-11-24T18:00:00.000Z","state":"progress","time":"…"}
///
/// Each report is complete: a field that it does not have is unknown.
public struct JobReport: Codable, Hashable, Sendable {
    /// The stage of a job.
    public enum State: String, Codable, Hashable, Sendable {
        /// The job waits for its turn.
        case queued
        /// The job has started.
        case running
        /// The job has made progress.
        case progress
        /// The job is done. No report of this run follows.
        case succeeded
        /// The job has failed or was cancelled. No report of this run follows.
        case failed
    }

    /// The stage of the job.
    public var state: State
    /// The id of the run; a job gets a new one each time it is queued or starts.
    public var run: String
    /// The part of the work that is done, from 0 to 1.
    public var fraction: Double?
    /// The message of the job for its watchers.
    public var message: String?
    /// The time of the report.
    public var time: Date
    /// The time at which the run started.
    public var started: Date?

    /// The type of the events, `job`.
    public static let eventType = "job"

    /// Whether this report is the last of its run.
    public var isFinal: Bool { state == .succeeded || state == .failed }

    /// Whether a run may start with this report.
    var isFirst: Bool { state == .queued || state == .running }

    func event(on topic: Topic) throws -> Event {
        Event(topic: topic, data: try EventJSON.text(of: self), type: Self.eventType)
    }
}

extension Topic {
    /// The topic of the reports of a job: `jobs/` and its name.
    ///
    /// - Throws: ``/Martlet/MartletError`` if the name is empty or contains control characters.
    public static func job(_ name: String) throws(MartletError) -> Topic {
        guard !name.isEmpty else {
            throw MartletError(
                .invalidTopic, field: "topic", "The name of a job must not be empty. Use a name such as import-7.")
        }
        return try Topic("jobs/\(name)")
    }
}
