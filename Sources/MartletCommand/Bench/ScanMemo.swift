// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What scanning the latest bytes came to. Most servers send many subscribers the same bytes, one after the other; who
/// receives what the one before has received, in the same state, need not scan it again.
struct ScanMemo: Sendable {
    private var bytes: [UInt8] = []
    private var before = SubscriberScanner()
    private var after = SubscriberScanner()
    /// The marks of the events that ended in the bytes.
    private(set) var marks: [MarkScanner.Mark] = []

    /// Whether a scanner that takes the first bytes of a buffer would find ``marks``; if so it is as if it had.
    mutating func scans(_ buffer: [UInt8], _ count: Int, with scanner: inout SubscriberScanner) -> Bool {
        guard count == bytes.count, scanner == before else { return false }
        // Both arrays have as many bytes as are compared, and the pointers do not outlive the call.
        guard memcmp(buffer, bytes, count) == 0 else { return false }
        scanner = after
        return true
    }

    /// Remembers what a scanner has found in the first bytes of a buffer.
    mutating func remember(
        _ buffer: [UInt8], _ count: Int, before: SubscriberScanner, after: SubscriberScanner,
        marks: [MarkScanner.Mark]
    ) {
        bytes.removeAll(keepingCapacity: true)
        bytes += buffer[..<count]
        self.before = before
        self.after = after
        self.marks = marks
    }
}
