// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The time of a log in a file, from which the ages of events are computed, also after a restart.
///
/// It runs as time passes, and never jumps, stops or goes back. If the wall clock is behind, it is not followed. If it
/// is ahead, because the machine was paused or the clock was set, it is followed by a quarter of the time that passes.
/// So a wrong wall clock ages events by at most a quarter of the time during which it is wrong. A difference of more
/// than a year is not followed: it comes from a clock that was never set.
///
/// After a restart it continues from the newest event. Of the time that the wall clock says has passed since, an eighth
/// of the retention age counts at once, and the rest is followed as above.
struct EventClock: Sendable {
    /// Since 1970, by the wall clock of when the log was made.
    private(set) var time: Duration
    /// The last reading of the clock that does not jump.
    private var seen: Duration
    /// How much faster than time it ran since it was created.
    private var gained = Duration.zero

    private static let mostGain = Duration.seconds(366 * 24 * 60 * 60)

    /// - Parameters:
    ///   - wall: The wall clock.
    ///   - running: The clock that does not jump.
    ///   - newest: The time of the newest event; `nil` if there was none.
    ///   - age: The retention age.
    init(wall: Duration, running: Duration, newest: Duration?, age: Duration) {
        seen = running
        time = newest ?? max(wall, .seconds(1))
        time += min(Self.gain(wall - time), age / 8)
    }

    /// How far to follow a wall clock.
    private static func gain(_ ahead: Duration) -> Duration {
        (Duration.zero...mostGain).contains(ahead) ? ahead : .zero
    }

    /// Reads the clocks.
    mutating func advance(wall: Duration, running: Duration) {
        let passed = max(.zero, running - seen)
        seen += passed
        time += passed
        let gain = min(Self.gain(wall - time), passed / 4)
        time += gain
        gained += gain
    }

    /// A time such that every event that is not older than an age has this time or a later one.
    func time(since age: Duration) -> Duration { time - age - max(.zero, min(age / 4, gained)) }
}

/// The clocks of the machine, which tests replace.
struct MachineClocks: Sendable {
    /// The time since 1970. It may be set at any moment.
    var wall: @Sendable () -> Duration
    /// The time since some moment. It never jumps, and continues while the machine sleeps.
    var running: @Sendable () -> Duration

    static let system = {
        let start = ContinuousClock.now
        return MachineClocks(
            wall: { .seconds(Date().timeIntervalSince1970) }, running: { start.duration(to: .now) })
    }()
}
