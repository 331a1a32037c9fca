// SPDX-License-Identifier: Apache-2.0

import MartletClient

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Why `martlet listen` or `martlet publish` has failed.
struct ClientError: Error, Equatable, CustomStringConvertible {
    /// The exit code, by which scripts tell failures apart.
    enum Kind: Int32, Sendable {
        /// The input or the answer cannot be used, or the output cannot be written.
        case failed = 1
        /// The command line is wrong.
        case usage = 2
        /// The server refuses the request.
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

    /// The last system call has failed.
    ///
    /// - Parameter action: What the program tried, such as "cannot write the output".
    static func system(_ action: String, code: Int32 = errno) -> Self {
        Self(.failed, "\(action): \(String(cString: strerror(code)))")
    }

    init(_ error: EventSourceError) {
        switch error.code {
        case .invalidURL, .invalidRequest: self.init(.usage, error.message)
        case .refused: self.init(.refused, error.message)
        default: self.init(.failed, error.message)
        }
    }

    /// The error with the hub's own words, if it has any. `Outcome` escapes them.
    init(_ error: HubError) {
        switch error.code {
        case .invalidURL, .invalidRequest: self.init(.usage, error.message)
        case .refused where error.status == 401 && error.detail == nil:
            self.init(.refused, "The hub requires a token. Give --token-file.")
        case .refused: self.init(.refused, error.detail ?? error.message)
        case .unavailable, .timedOut:
            let answer = error.status.map { "The server answered \($0)" }
            self.init(
                .unreachable, error.detail.flatMap { detail in answer.map { "\($0): \(detail)" } } ?? error.message)
        default: self.init(.failed, error.message)
        }
    }
}
