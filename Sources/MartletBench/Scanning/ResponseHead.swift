// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing
import MartletSupport

/// The parts of the head of an HTTP response that a run needs.
struct ResponseHead: Equatable, Sendable {
    let status: Int
    /// The media type in lower case, without parameters; `nil` if there is none.
    private(set) var mediaType: String?
    private(set) var isChunked = false
    private(set) var contentLength: Int?
    /// An encoding of the body that cannot be read here: `gzip`.
    private(set) var coding: String?
    /// Whether the server closes the connection after the response.
    private(set) var closes: Bool

    /// - Parameter text: The head, with or without the blank line at its end.
    /// - Returns: `nil` if it has no status line of HTTP/1, or a malformed length.
    init?(_ text: String) {
        let lines = text.utf8.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }).map { Substring($0) }
        let words = lines.first?.splitExactly(at: UInt8(ascii: " ")) ?? []
        guard words.count >= 2, words[0].startsExactly(with: "HTTP/1."), words[1].utf8.count == 3,
            words[1].utf8.allSatisfy(\.isDigit), let status = Int(words[1]), status >= 100
        else { return nil }
        self.status = status
        closes = words[0].isExactly("HTTP/1.0")

        var fields: [(name: String, value: Substring)] = []
        for line in lines.dropFirst() {
            guard let (name, value) = line.cutExactly(at: UInt8(ascii: ":")) else { continue }
            fields.append((name.asciiLowercased, value.trimmingBlanks))
        }
        func values(_ name: String) -> [String] {
            fields.filter { $0.name.isExactly(name) }.flatMap { $0.value.splitExactly(at: UInt8(ascii: ",")) }
                .map { $0.trimmingBlanks.asciiLowercased }.filter { !$0.isEmpty }
        }
        mediaType = MediaType.essence(of: fields.filter { $0.name.isExactly("content-type") }.map { String($0.value) })
        let transferCodings = values("transfer-encoding")
        isChunked = transferCodings.last?.isExactly("chunked") == true
        coding = (transferCodings + values("content-encoding")).first {
            !$0.isExactly("chunked") && !$0.isExactly("identity")
        }
        for length in values("content-length") {
            guard length.utf8.allSatisfy(\.isDigit), let length = Int(length), contentLength ?? length == length else {
                return nil
            }
            contentLength = length
        }
        let connection = values("connection")
        closes =
            connection.contains { $0.isExactly("close") }
            || closes && !connection.contains { $0.isExactly("keep-alive") }
    }
}

/// Collects the head of a response from pieces of any size, and skips interim responses.
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
    /// - Returns: `nil` if all bytes were taken and the head goes on. After a result, the scanner is ready for the next
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

/// What a server sends that is not HTTP/1.1.
enum Malformation: Equatable, Sendable, CustomStringConvertible {
    case tls
    case http2
    case body
    case other

    /// - Parameter start: The first five bytes.
    init(start: [UInt8]) {
        // A TLS record with an alert (RFC 8446 section 5.1), or a SETTINGS frame (RFC 9113 section 6.5).
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
        case .body: "the body of the answer has malformed framing"
        case .other: "the answer is not HTTP/1.1"
        }
    }
}
