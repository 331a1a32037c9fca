// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What keeps `martlet bench` from measuring.
struct BenchError: Error, Equatable, CustomStringConvertible {
    /// What is wrong, in one line.
    let description: String

    init(_ description: String) {
        self.description = description
    }

    /// The last call into the system has failed.
    ///
    /// - Parameters:
    ///   - action: What was tried: "cannot open a socket".
    ///   - code: The error number of the call.
    static func system(_ action: String, code: Int32 = errno) -> Self {
        Self("\(action): \(String(cString: strerror(code)))")
    }
}
