// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Finds the content in the body of a response that arrives in pieces of any size.
struct BodyFraming: Equatable, Sendable {
    enum Step: Equatable, Sendable {
        /// The bytes up to this position are content. Pass the number of those that you take to ``BodyFraming/take(_:)``.
        case content(end: Int)
        /// All bytes were taken, and the body goes on.
        case more
        /// The body has ended; later bytes belong to another response.
        case ended
        case malformed
    }

    private enum State: UInt8 {
        /// The content ends with the connection.
        case unlimited
        case length
        case chunkStart, chunkSize, chunkExtension, chunk, chunkCarriageReturn, chunkLineFeed
        /// At the start of a line after the last chunk, or within one.
        case trailer, trailerLine
        case ended
    }

    private var state: State
    /// The bytes to come of the content or the chunk, or the value of the size line so far.
    private var remaining = 0

    /// - Parameter hasBody: False for a response that ends with its head, such as 204.
    init(_ head: ResponseHead, hasBody: Bool = true) {
        if !hasBody {
            state = .ended
        } else if head.isChunked {
            state = .chunkStart
        } else if let length = head.contentLength {
            state = length == 0 ? .ended : .length
            remaining = length
        } else {
            state = .unlimited
        }
    }

    /// Takes the bytes from `position` on that are not content.
    mutating func step(in bytes: Span<UInt8>, from position: inout Int) -> Step {
        while true {
            switch state {
            case .ended:
                return .ended
            case _ where position == bytes.count:
                return .more
            case .unlimited:
                return .content(end: bytes.count)
            case .length, .chunk:
                return .content(end: position + min(remaining, bytes.count - position))
            default:
                guard scan(bytes[position]) else { return .malformed }
                position += 1
            }
        }
    }

    /// Takes bytes of the content that ``step(in:from:)`` found.
    mutating func take(_ count: Int) {
        switch state {
        case .length:
            remaining -= count
            if remaining == 0 { state = .ended }
        case .chunk:
            remaining -= count
            if remaining == 0 { state = .chunkCarriageReturn }
        default:
            break
        }
    }

    /// - Returns: Whether the byte is valid at this place.
    private mutating func scan(_ byte: UInt8) -> Bool {
        switch (state, byte) {
        case (.chunkSize, 0x0A), (.chunkExtension, 0x0A):
            state = remaining == 0 ? .trailer : .chunk
        case (.chunkSize, UInt8(ascii: ";")), (.chunkSize, UInt8(ascii: " ")):
            state = .chunkExtension
        case (.chunkSize, 0x0D), (.chunkExtension, _), (.trailer, 0x0D):
            break
        case (.chunkStart, _), (.chunkSize, _):
            guard let digit = byte.hexDigit, remaining < 1 << 40 else { return false }
            remaining = remaining << 4 | Int(digit)
            state = .chunkSize
        case (.chunkCarriageReturn, 0x0D):
            state = .chunkLineFeed
        case (.chunkLineFeed, 0x0A):
            state = .chunkStart
        case (.trailer, 0x0A):
            state = .ended
        case (.trailer, _), (.trailerLine, _):
            state = byte == 0x0A ? .trailer : .trailerLine
        default:
            return false
        }
        return true
    }
}
