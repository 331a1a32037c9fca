// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Points in time as nanoseconds of the system's monotonic clock, which all processes of a machine share.
enum MonotonicTime {
    static var now: UInt64 {
        read(CLOCK_MONOTONIC)
    }

    /// The processor time that this process has used, in nanoseconds.
    static var processorTime: UInt64 {
        read(CLOCK_PROCESS_CPUTIME_ID)
    }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

extension Duration {
    /// The duration in whole nanoseconds; it must not be negative.
    var nanoseconds: UInt64 {
        UInt64(self / .nanoseconds(1))
    }
}
