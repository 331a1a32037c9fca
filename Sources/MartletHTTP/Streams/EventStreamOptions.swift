// SPDX-License-Identifier: Apache-2.0

/// The behaviour of a stream that the application itself writes: with `router.events` and a handler, or with
/// ``ServerSentEvents``.
public struct EventStreamOptions: Sendable {
    /// The time after which a silent stream sends a heartbeat. A client that takes nothing for one to two of these
    /// intervals is disconnected.
    public var heartbeat: Duration
    /// Each client is told a random time from this range to wait before it reconnects, so that clients do not return
    /// together.
    public var retry: ClosedRange<Duration>
    /// The longest time for which the response head waits for the first event. An error that the handler throws in this
    /// time becomes the answer, with its own status. To open the stream at once, call ``EventStreamWriter/open()``.
    public var patience: Duration
    /// The clock for `heartbeat` and `patience`.
    public var clock: any Clock<Duration>

    public init(
        heartbeat: Duration = .seconds(15), retry: ClosedRange<Duration> = .seconds(1) ... .seconds(3),
        patience: Duration = .seconds(5), clock: any Clock<Duration> = ContinuousClock()
    ) {
        self.heartbeat = heartbeat
        self.retry = retry
        self.patience = patience
        self.clock = clock
    }
}
