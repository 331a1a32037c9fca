// SPDX-License-Identifier: Apache-2.0

/// How jobs are reported.
public struct JobReporting: Sendable {
    /// How much time there is at least between two reports of progress. Also how long it takes until a report that the hub
    /// refused is tried again.
    public var interval = Duration.milliseconds(100)
    /// How long a job that has ended tries to report it. The beginning waits no longer either.
    public var patience = Duration.seconds(10)
    /// The longest message, in bytes of UTF-8. Longer ones are cut off.
    public var messageBytes = 1024
    public var clock: any Clock<Duration> = ContinuousClock()

    public init() {}
}
