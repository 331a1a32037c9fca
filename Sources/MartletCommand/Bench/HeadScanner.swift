// SPDX-License-Identifier: Apache-2.0

/// Collects the head of a response, whatever pieces it arrives in, and passes over interim responses.
struct HeadScanner: Equatable, Sendable {
    enum Result: Equatable, Sendable {
        case head(ResponseHead)
        /// Not HTTP/1, or longer than ``HeadScanner/mostBytes``.
        case malformed
    }

    static let mostBytes = 16_384

    private var bytes: [UInt8] = []

    /// Takes bytes from `position` on, up to and including the blank line after the head.
    ///
    /// - Returns: nil if all bytes were taken and the head goes on. After a result the scanner is ready for another head.
    mutating func next(in input: Span<UInt8>, from position: inout Int) -> Result? {
        while position < input.count {
            let byte = input[position]
            position += 1
            bytes.append(byte)
            if byte == 0x0A, bytes.suffix(3).elementsEqual([0x0A, 0x0D, 0x0A]) || bytes.suffix(2) == [0x0A, 0x0A] {
                let head = ResponseHead(String(decoding: bytes, as: UTF8.self))
                bytes = []
                guard let head else { return .malformed }
                if head.status >= 200 { return .head(head) }
            } else if bytes.count == Self.mostBytes {
                bytes = []
                return .malformed
            }
        }
        return nil
    }
}
