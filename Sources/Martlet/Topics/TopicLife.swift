// SPDX-License-Identifier: Apache-2.0

import MartletSupport

#if os(Linux)
import CLinux
#else
import Darwin
#endif

/// The statements of an event about its topic, about how long it is true, and about the trace that it is part of. Few
/// events have any.
struct TopicLife: Hashable, Sendable {
    var expires: WallTime?
    var topicExpires: WallTime?
    var writer: TopicWriter?
    var endsTopic = false
    var purgesTopic = false
    var traceParent: TraceParent?
}

/// An object that holds a ``TopicLife``.
final class LifeBox: Sendable {
    let life: TopicLife

    init(_ life: TopicLife) { self.life = life }
}

/// Who writes to a topic. With a greater epoch a writer takes over, and the writers before are refused.
public struct TopicWriter: Hashable, Sendable {
    public var name: String
    /// Greater for each writer that takes over.
    public var epoch: UInt64

    public init(_ name: String, epoch: UInt64) {
        self.name = name
        self.epoch = epoch
    }

    /// Whether the other writer has taken over from this one, or was there before under the same epoch.
    func isReplaced(by other: TopicWriter) -> Bool {
        epoch < other.epoch || epoch == other.epoch && !name.isExactly(other.name)
    }

    public static func == (a: Self, b: Self) -> Bool { a.epoch == b.epoch && a.name.isExactly(b.name) }
}

/// A time of the wall clock, in milliseconds since 1970. Nodes are expected to agree on it within a second or so.
public struct WallTime: Hashable, Comparable, Sendable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    public static var now: WallTime {
        #if os(Linux)
        return WallTime(milliseconds: martlet_wall_milliseconds())
        #else
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
        #endif
    }

    public static func < (a: WallTime, b: WallTime) -> Bool { a.milliseconds < b.milliseconds }

    /// A later time; the last one there is where the sum has no room.
    public static func + (time: WallTime, duration: Duration) -> WallTime {
        let (sum, overflows) = time.milliseconds.addingReportingOverflow(duration.wholeMilliseconds)
        return WallTime(milliseconds: overflows ? .max : sum)
    }
}
