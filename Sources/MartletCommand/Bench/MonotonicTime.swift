// SPDX-License-Identifier: Apache-2.0

import Dispatch

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Points in time as nanoseconds of the system's monotonic clock, which all processes of a machine share.
enum MonotonicTime {
    static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

    /// The processor time that this process has used, in nanoseconds; it grows by a microsecond at a time.
    static var processorTime: UInt64 { UInt64(max(clock(), 0)) * (1_000_000_000 / UInt64(CLOCKS_PER_SEC)) }
}

extension Duration {
    /// The duration in whole nanoseconds; it must not be negative.
    var nanoseconds: UInt64 {
        UInt64(self / .nanoseconds(1))
    }
}
