// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// What a subscriber makes of the bytes that the server sends it, whatever pieces they arrive in.
struct SubscriberScanner: Equatable, Sendable {
    enum Item: Equatable, Sendable {
        /// The server has answered with a stream of events.
        case accepted
        /// The server has answered with something else, of which this is said.
        case rejected(String)
        case event(MarkScanner.Mark)
        /// The response has ended.
        case ended
        case malformed(Malformation)
    }

    private var head = HeadScanner()
    /// nil before the end of the head.
    private var framing: BodyFraming?
    private var events = EventScanner()
    private var isOver = false

    /// Takes bytes from `position` on, up to and including the end of an item.
    ///
    /// - Returns: nil if all bytes were taken and no item has ended. Nothing comes after an item other than `accepted`
    ///   and `event`.
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
