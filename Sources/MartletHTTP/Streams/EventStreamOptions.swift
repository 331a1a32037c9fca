// SPDX-License-Identifier: Apache-2.0

/// How a stream behaves that the application itself writes.
public struct EventStreamOptions: Sendable {
    /// How often a stream that has nothing to say shows that it is alive. A client that takes nothing of what is written
    /// for one to two of these is disconnected.
    public var heartbeat = Duration.seconds(15)
    /// Each client is told a time from this range to wait before it reconnects, so that they do not all come at once.
    public var retry = Duration.seconds(1)...Duration.seconds(3)
    /// How long the head of the answer waits for the first that is sent. What the handler throws meanwhile is answered as
    /// such, with its own status. A client that has waited for so long is told that the stream is open; to tell it at once,
    /// a handler calls ``EventStreamWriter/open()``.
    public var patience = Duration.seconds(5)
    /// What all these are measured with.
    public var clock: any Clock<Duration> = ContinuousClock()

    public init() {}
}
