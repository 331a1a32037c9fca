// SPDX-License-Identifier: Apache-2.0

package import MartletOutgoing

/// What a run does. The values must be valid: counts and rates are positive, durations are not negative.
package struct BenchPlan: Sendable {
    package typealias Field = (name: String, value: String)

    /// What the run publishes, and how fast.
    package struct Publishing: Sendable {
        package let target: OutgoingURL
        /// The fields of the request in addition to `Host` and `Content-Length`.
        package let header: [Field]
        /// Events a second.
        package let rate: Int
        /// The size of an event's data in bytes, at least ``EventMark/longest``.
        package let size: Int

        package init(target: OutgoingURL, header: [Field], rate: Int, size: Int) {
            self.target = target
            self.header = header
            self.rate = rate
            self.size = size
        }
    }

    /// The stream to subscribe to.
    package let target: OutgoingURL
    /// The fields of the request in addition to `Host`, `Accept`, `Accept-Encoding` and `Cache-Control`.
    package let header: [Field]
    package let subscribers: Int
    /// Connections opened a second.
    package let connectRate: Int
    /// The quiet time after all have connected, before memory is read.
    package let settle: Duration
    /// How long to publish before measuring.
    package let warmUp: Duration
    package let duration: Duration
    /// How long to wait at the end for events that have not arrived yet.
    package let drain: Duration
    /// `nil` if the server pushes without being published to.
    package let publishing: Publishing?
    /// The process of the server, to read its processor time and memory.
    package let serverProcess: Int?

    package init(
        target: OutgoingURL, header: [Field], subscribers: Int, connectRate: Int, settle: Duration, warmUp: Duration,
        duration: Duration, drain: Duration, publishing: Publishing?, serverProcess: Int?
    ) {
        self.target = target
        self.header = header
        self.subscribers = subscribers
        self.connectRate = connectRate
        self.settle = settle
        self.warmUp = warmUp
        self.duration = duration
        self.drain = drain
        self.publishing = publishing
        self.serverProcess = serverProcess
    }
}
