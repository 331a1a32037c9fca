// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A line on the terminal that is written over as a run goes on.
struct ProgressLine: Sendable {
    /// The nanoseconds that a text stays.
    private static let interval: UInt64 = 200_000_000

    private var nextAt: UInt64 = 0

    /// - Returns: nil if standard error is not a terminal.
    init?() {
        guard isatty(STDERR_FILENO) == 1 else { return nil }
    }

    /// Whether the text shown has stayed long enough.
    func isDue(at now: UInt64) -> Bool {
        now >= nextAt
    }

    /// Shows the text in place of the one before.
    mutating func show(_ text: String, at now: UInt64) {
        nextAt = now + Self.interval
        put("\r\(text)\u{1B}[K")
    }

    /// Removes the line.
    func clear() {
        put("\r\u{1B}[K")
    }

    private func put(_ text: String) {
        _ = Array(text.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
