// SPDX-License-Identifier: Apache-2.0

/// Collects the head of a response, whatever pieces it arrives in, and passes over interim responses.
struct HeadScanner: Equatable, Sendable {
    enum Result: Equatable, Sendable {
        case head(ResponseHead)
        case malformed(Malformation)
    }

    static let mostBytes = 16_384

    private static let start = Array("HTTP/".utf8)

    private var bytes: [UInt8] = []

    /// Takes bytes from `position` on, up to and including the blank line after the head.
    ///
    /// - Returns: nil if all bytes were taken and the head goes on. After a result the scanner is ready for another
    ///   head.
    mutating func next(in input: Span<UInt8>, from position: inout Int) -> Result? {
        while position < input.count {
            let byte = input[position]
            position += 1
            bytes.append(byte)
            if bytes.count == Self.start.count, bytes != Self.start { return malformed(Malformation(start: bytes)) }
            if byte == 0x0A, bytes.suffix(3).elementsEqual([0x0A, 0x0D, 0x0A]) || bytes.suffix(2) == [0x0A, 0x0A] {
                guard let head = ResponseHead(String(decoding: bytes, as: UTF8.self)) else { return malformed(.other) }
                bytes = []
                if head.status >= 200 { return .head(head) }
            } else if bytes.count == Self.mostBytes {
                return malformed(.other)
            }
        }
        return nil
    }

    private mutating func malformed(_ malformation: Malformation) -> Result {
        bytes = []
        return .malformed(malformation)
    }
}

/// What arrives in place of HTTP/1.1.
enum Malformation: Equatable, Sendable, CustomStringConvertible {
    case tls
    case http2
    case body
    case other

    /// - Parameter start: The first five bytes.
    init(start: [UInt8]) {
        // A record of TLS with an alert (RFC 8446 section 5.1), or a frame with settings (RFC 9113 section 6.5).
        if start[0] == 0x15, start[1] == 0x03 {
            self = .tls
        } else if start[0] == 0, start[3] == 4 {
            self = .http2
        } else {
            self = .other
        }
    }

    var description: String {
        switch self {
        case .tls: "the server speaks TLS; give the URL of a port without it"
        case .http2: "the server speaks HTTP/2 only; give the URL of a port with HTTP/1.1"
        case .body: "the body of the answer is not framed as in HTTP/1.1"
        case .other: "the answer is not HTTP/1.1"
        }
    }
}
