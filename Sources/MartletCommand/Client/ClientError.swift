// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Why `martlet listen` or `martlet publish` has failed.
struct ClientError: Error, Equatable, CustomStringConvertible {
    /// What scripts can tell apart, with the exit code.
    enum Kind: Int32, Sendable {
        /// What came cannot be used, or cannot be passed on.
        case failed = 1
        /// What is asked for makes no sense.
        case usage = 2
        /// The server does not want it.
        case refused = 3
        /// The server could not be reached, or did not answer, for too long.
        case unreachable = 4
    }

    let kind: Kind
    /// What is wrong and what to do, in one line, without a header and without a query.
    let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// The last call into the system has failed.
    ///
    /// - Parameter action: What was tried: "cannot write the output".
    static func system(_ action: String, code: Int32 = errno) -> Self {
        Self(.failed, "\(action): \(String(cString: strerror(code)))")
    }
}
