// SPDX-License-Identifier: Apache-2.0

import MartletSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Reads what a server sends to a subscriber, in pieces of any size.
struct SubscriberScanner: Equatable, Sendable {
    enum Item: Equatable, Sendable {
        /// The server has answered with a stream of events.
        case accepted
        /// The server has answered with something else: "has status 503".
        case rejected(String)
        case event(MarkScanner.Mark)
        /// The response has ended.
        case ended
        case malformed(Malformation)
    }

    private var head = HeadScanner()
    /// `nil` before the end of the head.
    private var framing: BodyFraming?
    private var events = EventScanner()
    private var isOver = false

    /// Takes bytes from `position` on, up to and including the end of an item.
    ///
    /// - Returns: `nil` if all bytes were taken and no item has ended. Items other than `accepted` and `event` are the
    ///   last one.
    mutating func next(in bytes: Span<UInt8>, from position: inout Int) -> Item? {
        guard !isOver else { return nil }
        guard framing != nil else { return head.next(in: bytes, from: &position).map { answer($0) } }
        while true {
            switch framing!.step(in: bytes, from: &position) {
            case .content(let end):
                let start = position
                let mark = events.next(in: bytes, from: &position, to: end)
                framing!.take(position - start)
                if let mark { return .event(mark) }
            case .more:
                return nil
            case .ended:
                isOver = true
                return .ended
            case .malformed:
                isOver = true
                return .malformed(.body)
            }
        }
    }

    private mutating func answer(_ result: HeadScanner.Result) -> Item {
        switch result {
        case .head(let head) where head.status != 200:
            isOver = true
            return .rejected("has status \(head.status)")
        case .head(let head) where head.mediaType?.isExactly("text/event-stream") != true:
            isOver = true
            let type = head.mediaType.map { "the type \($0.debugDescription)" } ?? "no type"
            return .rejected("has \(type) in place of text/event-stream")
        case .head(let head) where head.coding != nil:
            isOver = true
            return .rejected(
                "is encoded as \((head.coding ?? "").debugDescription), which cannot be read; turn that off")
        case .head(let head):
            framing = BodyFraming(head)
            return .accepted
        case .malformed(let malformation):
            isOver = true
            return .malformed(malformation)
        }
    }
}

/// The result of scanning the latest bytes. Most servers send the same bytes to many subscribers, one after the other. If a
/// subscriber receives the bytes of the one before, in the same state, they need not be scanned again.
struct ScanMemo: Sendable {
    private var bytes: [UInt8] = []
    private var before = SubscriberScanner()
    private var after = SubscriberScanner()
    /// The marks of the events that ended in the bytes.
    private(set) var marks: [MarkScanner.Mark] = []

    /// Advances a scanner over the first bytes of a buffer, if they are those of the memo.
    ///
    /// - Returns: Whether they are. Then ``marks`` are what the scanner would have found.
    mutating func scans(_ buffer: [UInt8], _ count: Int, with scanner: inout SubscriberScanner) -> Bool {
        guard count == bytes.count, scanner == before else { return false }
        // Both arrays have at least `count` bytes, and the pointers do not outlive the call.
        guard memcmp(buffer, bytes, count) == 0 else { return false }
        scanner = after
        return true
    }

    /// Remembers the marks that a scanner has found in the first bytes of a buffer.
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
