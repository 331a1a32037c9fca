// SPDX-License-Identifier: Apache-2.0

/// Takes the chunked transfer coding off (RFC 9112, section 7.1); without trailers.
public struct ChunkedDecoder {
    public struct Malformed: Error {}

    /// `false`: the bytes are given back as they are.
    public var isChunked: Bool
    /// Whether the last chunk has come.
    public private(set) var isAtEnd = false
    private var rest: [UInt8] = []

    public init(isChunked: Bool = false) { self.isChunked = isChunked }

    public mutating func decode(_ bytes: [UInt8]) throws -> [UInt8] {
        guard isChunked else { return bytes }
        rest += bytes
        var decoded: [UInt8] = []
        while !isAtEnd, let lineEnd = rest.firstRange(of: [0x0D, 0x0A]) {
            guard let size = Int(String(decoding: rest[..<lineEnd.lowerBound], as: UTF8.self), radix: 16) else {
                throw Malformed()
            }
            let end = lineEnd.upperBound + size + 2
            guard rest.count >= end else { break }
            guard rest[(end - 2)..<end].elementsEqual([0x0D, 0x0A]) else { throw Malformed() }
            decoded += rest[lineEnd.upperBound..<(end - 2)]
            rest.removeFirst(end)
            isAtEnd = size == 0
        }
        return decoded
    }
}
