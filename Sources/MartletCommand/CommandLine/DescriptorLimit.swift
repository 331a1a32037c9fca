// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The limit on the open descriptors of this process.
enum DescriptorLimit {
    /// Raises the soft limit to the hard one.
    ///
    /// - Returns: The soft limit afterwards; unchanged if the system refuses to raise it.
    static func raise() -> Int {
        var limit = current
        #if canImport(Darwin)
        limit.rlim_cur = min(limit.rlim_max, rlim_t(OPEN_MAX))
        #else
        limit.rlim_cur = limit.rlim_max
        #endif
        setrlimit(resource, &limit)
        return soft
    }

    /// The soft limit.
    static var soft: Int { Int(clamping: current.rlim_cur) }

    private static var current: rlimit {
        var limit = rlimit()
        getrlimit(resource, &limit)
        return limit
    }

    #if canImport(Glibc)
    private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
    private static let resource = RLIMIT_NOFILE
    #endif
}
