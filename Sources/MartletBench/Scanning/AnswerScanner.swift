// SPDX-License-Identifier: Apache-2.0

/// Reads the answers to the publisher, in pieces of any size.
struct AnswerScanner: Sendable {
    enum Item: Equatable, Sendable {
        /// A response has ended.
        case answer(status: Int, closes: Bool)
        case malformed(Malformation)
    }

    private var scanner = HeadScanner()
    /// The response whose body is arriving.
    private var current: (head: ResponseHead, framing: BodyFraming)?

    /// Takes bytes from `position` on, up to and including the end of a response.
    ///
    /// - Returns: `nil` if all bytes were taken and no response has ended.
    mutating func next(in bytes: Span<UInt8>, from position: inout Int) -> Item? {
        while true {
            if current == nil {
                switch scanner.next(in: bytes, from: &position) {
                case .head(let head):
                    let hasBody = head.status != 204 && head.status != 304
                    current = (head, BodyFraming(head, hasBody: hasBody))
                case .malformed(let malformation): return .malformed(malformation)
                case nil: return nil
                }
            }
            switch current!.framing.step(in: bytes, from: &position) {
            case .content(let end):
                current!.framing.take(end - position)
                position = end
            case .more:
                return nil
            case .ended:
                defer { current = nil }
                return .answer(status: current!.head.status, closes: current!.head.closes)
            case .malformed:
                return .malformed(.body)
            }
        }
    }

    /// The response that the end of the connection completes: one without a length.
    mutating func end() -> Item? {
        guard let head = current?.head, !head.isChunked, head.contentLength == nil else { return nil }
        current = nil
        return .answer(status: head.status, closes: true)
    }
}
