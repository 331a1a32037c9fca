// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A line on the terminal that shows the progress of a run.
struct ProgressLine: Sendable {
    /// How long a text stays.
    private static let interval = Duration.milliseconds(200)

    private var next = ContinuousClock.now

    /// - Returns: `nil` if standard error is not a terminal.
    init?() {
        guard isatty(STDERR_FILENO) == 1 else { return nil }
    }

    /// Replaces the text, if it has stayed long enough.
    mutating func show(_ text: @autoclosure () -> String) {
        let now = ContinuousClock.now
        guard now >= next else { return }
        next = now + Self.interval
        put("\r\(text())\u{1B}[K")
    }

    /// Removes the line.
    func clear() {
        put("\r\u{1B}[K")
    }

    private func put(_ text: String) {
        _ = Array(text.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
