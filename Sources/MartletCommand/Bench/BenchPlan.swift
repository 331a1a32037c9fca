// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing

/// What a run of ``LoadGenerator`` does: valid values, whose defaults are those of ``BenchCommand``.
struct BenchPlan: Sendable {
    /// What is published, and how fast.
    struct Publishing: Sendable {
        let target: OutgoingURL
        /// More fields of the request than `Host` and `Content-Length`.
        let header: [HeaderField]
        /// Events a second.
        let rate: Int
        /// Bytes of an event's data, at least ``EventMark/longest``.
        let size: Int
    }

    /// The stream that is subscribed to.
    let target: OutgoingURL
    /// More fields of the request than `Host`, `Accept`, `Accept-Encoding` and `Cache-Control`.
    let header: [HeaderField]
    let subscribers: Int
    /// Connections opened a second.
    let connectRate: Int
    /// The quiet time before memory is read, after all have connected.
    let settle: Duration
    /// How long events are published before anything is measured.
    let warmUp: Duration
    let duration: Duration
    /// How long to wait at the end for events that are still on their way.
    let drain: Duration
    /// nil if the server pushes by itself.
    let publishing: Publishing?
    /// The process whose processor time and memory are read.
    let serverProcess: Int?
}
