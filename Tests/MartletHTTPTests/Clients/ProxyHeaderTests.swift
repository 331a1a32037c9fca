// SPDX-License-Identifier: Apache-2.0

import NIOCore
import TestSupport
import Testing

@testable import MartletHTTP

@Suite("The header of the PROXY protocol")
struct ProxyHeaderTests {
    private static func read(_ bytes: [UInt8]) -> ProxyHeader.Reading { bytes.withUnsafeBytes { ProxyHeader.read($0) } }

    private static func read(_ text: String) -> ProxyHeader.Reading { read(Array(text.utf8)) }

    private static func complete(_ address: String?, _ port: Int, _ length: Int) throws -> ProxyHeader.Reading {
        .complete(source: try address.map { try SocketAddress(ipAddress: $0, port: port) }, length: length)
    }

    static let signature: [UInt8] = Array("\r\n\r\n\0\r\nQUIT\n".utf8)

    /// A header of version 2.
    static func binary(
        _ command: UInt8 = 0x21, _ family: UInt8 = 0x11, _ rest: [UInt8] = four, length: Int? = nil
    ) -> [UInt8] {
        let length = length ?? rest.count
        return signature + [command, family, UInt8(length >> 8), UInt8(length & 255)] + rest
    }

    static let four: [UInt8] = [203, 0, 113, 7, 192, 0, 2, 1, 0xD9, 0x03, 0x00, 0x50]
    static let six: [UInt8] =
        [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [7] + [UInt8](repeating: 1, count: 16)
        + [0xD9, 0x03, 0x00, 0x50]

    static let headers: [(bytes: [UInt8], address: String?, port: Int)] = [
        (Array("PROXY TCP4 203.0.113.7 192.0.2.1 55555 80\r\n".utf8), "203.0.113.7", 55_555),
        (Array("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".utf8), "255.255.255.255", 65_535),
        (Array("PROXY TCP6 2001:db8::7 2001:db8::1 0 0\r\n".utf8), "2001:db8::7", 0),
        (Array("PROXY UNKNOWN\r\n".utf8), nil, 0),
        (Array("PROXY UNKNOWN ff:ff 1 2 3 anything\r\n".utf8), nil, 0),
        (binary(), "203.0.113.7", 55_555), (binary(0x21, 0x21, six), "2001:db8::7", 55_555),
        // LOCAL, whatever the rest is.
        (binary(0x20), nil, 0), (binary(0x20, 0x00, []), nil, 0), (binary(0x20, 0xFF, [1, 2, 3]), nil, 0),
        // A client without an address of the internet.
        (binary(0x21, 0x00, []), nil, 0), (binary(0x21, 0x31, [UInt8](repeating: 0, count: 216)), nil, 0),
        // More fields.
        (binary(0x21, 0x11, four + [0x04, 0, 0]), "203.0.113.7", 55_555),
        (binary(0x21, 0x11, four + [0x04, 0, 2, 9, 9, 0xE0, 0, 1, 9]), "203.0.113.7", 55_555),
    ]

    @Test("A header is read as soon as its last byte is there, and whatever follows", arguments: headers.indices)
    func validHeader(index: Int) throws {
        let (bytes, address, port) = Self.headers[index]
        let complete = try Self.complete(address, port, bytes.count)
        for count in 0..<bytes.count { #expect(Self.read(Array(bytes[..<count])) == .incomplete, "\(count) bytes") }
        #expect(Self.read(bytes) == complete)
        #expect(Self.read(bytes + Array("GET / HTTP/1.1\r\n\r\n".utf8)) == complete)
        #expect(Self.read(bytes + bytes) == complete)
    }

    @Test(
        "A line that is not exactly a header is invalid",
        arguments: [
            "GET / HTTP/1.1\r\n", "PROXY\r\n", "PROXY \r\n", "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
            "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
            "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 host 1 2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP6 [::1] [::1] 1 2\r\n",
            "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY UNKNOWNX\r\n", "PROXY UNKNOWN\n", "PROXY UNKNOWN\rX",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n",
            "PROXY UNKNOWN \(String(repeating: "x", count: 92))\r\n", "PROXY \(String(repeating: "x", count: 200))",
            "X",
            "\u{FF}", "\0",
        ])
    func invalidLine(text: String) {
        #expect(Self.read(text) == .invalid)
    }

    @Test("The longest line is a header, and one byte more is none")
    func longestLine() {
        let text = "PROXY UNKNOWN " + String(repeating: "x", count: ProxyHeader.textBytes - 16)
        #expect(Self.read(text + "\r\n") == .complete(source: nil, length: ProxyHeader.textBytes))
        #expect(Self.read(text + "x\r\n") == .invalid)
        // More than fits cannot become a header.
        #expect(Self.read(text) == .incomplete)
        #expect(Self.read(text + "xx") == .invalid)
    }

    @Test("A binary header that is not exactly one is invalid")
    func invalidBinary() {
        for index in Self.signature.indices.dropFirst() {
            var bytes = Self.binary()
            bytes[index] ^= 1
            #expect(Self.read(bytes) == .invalid)
        }
        // The version, the command, the family, and addresses or fields that are cut off.
        let invalid = [
            Self.binary(0x11), Self.binary(0x31), Self.binary(0x22), Self.binary(0x2F), Self.binary(0x01),
            Self.binary(0x21, 0x12), Self.binary(0x21, 0x22, Self.six), Self.binary(0x21, 0x41),
            Self.binary(0x21, 0x10),
            Self.binary(0x21, 0x01), Self.binary(0x21, 0x11, Array(Self.four.dropLast())), Self.binary(0x21, 0x11, []),
            Self.binary(0x21, 0x21, Self.four), Self.binary(0x21, 0x31, [UInt8](repeating: 0, count: 215)),
            Self.binary(0x21, 0x11, Self.four + [1]), Self.binary(0x21, 0x11, Self.four + [1, 0]),
            Self.binary(0x21, 0x11, Self.four + [1, 0, 2, 9]), Self.binary(0x21, 0x11, Self.four + [1, 0, 0, 1]),
        ]
        for bytes in invalid { #expect(Self.read(bytes) == .invalid, "\(bytes)") }
    }

    @Test("The longest binary header is one, and a longer one is refused before it has come")
    func longestBinary() throws {
        let count = ProxyHeader.binaryBytes - 16 - Self.four.count - 3
        let field: [UInt8] = [4, UInt8(count >> 8), UInt8(count & 255)] + [UInt8](repeating: 0, count: count)
        let longest = try Self.complete("203.0.113.7", 55_555, ProxyHeader.binaryBytes)
        #expect(Self.read(Self.binary(0x21, 0x11, Self.four + field)) == longest)
        #expect(Self.read(Self.binary(0x21, 0x11, [], length: ProxyHeader.binaryBytes - 15)) == .invalid)
        #expect(Self.read(Self.binary(0x21, 0x11, [], length: 65_535)) == .invalid)
    }

    @Test("Random bytes trap nothing, and no header is longer than its bytes")
    func random() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = Self.headers.randomElement(using: &random)?.bytes ?? []
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = .random(in: .min ... .max, using: &random)
            }
            bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
            if case .complete(_, let length) = Self.read(bytes) { #expect(length <= bytes.count) }
        }
    }
}
