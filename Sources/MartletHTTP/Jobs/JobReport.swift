// SPDX-License-Identifier: Apache-2.0

public import Foundation
public import Martlet

/// How a job is doing: the data, as JSON, of an event of the type `job` on the topic ``Martlet/Topic/job(_:)``.
///
///     {"fraction":0.4,"message":"Reading","run":"…","started":"2026-11-24T18:00:00.000Z","state":"progress","time":"…"}
///
/// Every report says all: what it does not have is not known.
public struct JobReport: Codable, Hashable, Sendable {
    public enum State: String, Codable, Hashable, Sendable {
        /// Waits for its turn.
        case queued
        /// Has begun.
        case running
        /// Has come further.
        case progress
        /// Is done. Nothing follows in this run.
        case succeeded
        /// Has not worked out, or was cancelled. Nothing follows in this run.
        case failed
    }

    public var state: State
    /// Which run of the job it is; another each time it is queued or begins.
    public var run: String
    /// How much is done, from 0 to 1.
    public var fraction: Double?
    /// What the job says to those who watch it.
    public var message: String?
    /// When this was so.
    public var time: Date
    /// When the run began.
    public var started: Date?

    /// The type of the events.
    public static let eventType = "job"

    /// Whether nothing follows in this run.
    public var isFinal: Bool { state == .succeeded || state == .failed }

    /// Whether a run may begin with it.
    var isFirst: Bool { state == .queued || state == .running }

    func event(on topic: Topic) throws -> Event {
        Event(topic: topic, data: try EventJSON.text(of: self), type: Self.eventType)
    }
}

extension Topic {
    /// Where a job is reported: `jobs/` and its name.
    public static func job(_ name: String) throws(MartletError) -> Topic {
        guard !name.isEmpty else {
            throw MartletError(.invalidTopic, field: "topic", "The job has no name. Give it one, such as import-7.")
        }
        return try Topic("jobs/\(name)")
    }
}
