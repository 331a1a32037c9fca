// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport
import NIOCore

/// The header with which a proxy names the client at the beginning of a connection: the PROXY protocol of haproxy, version 1
/// (a line of text) or 2 (binary).
///
/// Nothing is repaired: a header is exactly as the protocol has it, or it is invalid. It is read again from its first byte
/// whenever more has come, and is bounded, so that this stays cheap.
enum ProxyHeader {
    enum Reading: Equatable {
        /// The beginning of a header.
        case incomplete
        case invalid
        /// A header in the first bytes, so many of them.
        ///
        /// - Parameter source: The client; `nil` where the proxy names none: the connection is its own (`LOCAL`), or its client
        ///   has no address of the internet (`UNKNOWN`).
        case complete(source: SocketAddress?, length: Int)
    }

    /// The longest header of version 1, as the protocol has it.
    static let textBytes = 107
    /// The longest header of version 2. The addresses take 16 to 232 bytes; the rest is for additional fields.
    static let binaryBytes = 4096

    static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
        guard let first = bytes.first else { return .incomplete }
        return first == signature[0] ? readBinary(bytes) : readText(bytes)
    }

    private typealias Bytes = Swift.Slice<UnsafeRawBufferPointer>

    // MARK: Version 1

    private static let start = Array("PROXY ".utf8)

    private static func readText(_ bytes: UnsafeRawBufferPointer) -> Reading {
        guard zip(bytes, start).allSatisfy({ $0 == $1 }) else { return .invalid }
        let line = bytes.prefix(textBytes)
        guard let end = line.firstIndex(where: { $0 == 0x0D || $0 == 0x0A }) else {
            return line.count < textBytes ? .incomplete : .invalid
        }
        guard end >= start.count, line[end] == 0x0D else { return .invalid }
        guard end + 1 < line.count else { return line.count < textBytes ? .incomplete : .invalid }
        guard line[end + 1] == 0x0A else { return .invalid }
        let text = String(decoding: line[start.count..<end], as: UTF8.self)
        let parts = text.splitExactly(at: UInt8(ascii: " "))
        if parts[0].isExactly("UNKNOWN") { return .complete(source: nil, length: end + 2) }
        guard parts.count == 5, let port = port(parts[3]), Self.port(parts[4]) != nil,
            let source = address(parts[1], parts[0]), address(parts[2], parts[0]) != nil
        else { return .invalid }
        return .complete(source: source.socketAddress(port: port), length: end + 2)
    }

    private static func address(_ text: Substring, _ family: Substring) -> IPAddress? {
        let hasColon = text.containsExactly(UInt8(ascii: ":"))
        guard family.isExactly(hasColon ? "TCP6" : "TCP4") else { return nil }
        return IPAddress(text)
    }

    private static func port(_ text: Substring) -> Int? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy(\.isDigit), let port = Int(text), port <= 65_535,
            "\(port)".isExactly(text)
        else { return nil }
        return port
    }

    // MARK: Version 2

    private static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]
    private static let fixedBytes = 16

    private static func readBinary(_ bytes: UnsafeRawBufferPointer) -> Reading {
        guard zip(bytes, signature).allSatisfy({ $0 == $1 }) else { return .invalid }
        guard bytes.count > signature.count else { return .incomplete }
        let isLocal = bytes[12] == 0x20
        guard isLocal || bytes[12] == 0x21 else { return .invalid }
        guard bytes.count >= fixedBytes else { return .incomplete }
        let length = fixedBytes + number(bytes[14..<16])
        guard length <= binaryBytes else { return .invalid }
        guard bytes.count >= length else { return .incomplete }
        // The proxy speaks for itself, whatever else it says.
        if isLocal { return .complete(source: nil, length: length) }
        let rest = bytes[fixedBytes..<length]
        // Streams only: no datagram begins a connection.
        switch bytes[13] {
        case 0x00: return .complete(source: nil, length: length)
        case 0x11: return complete(rest, addressBytes: 4, length)
        case 0x21: return complete(rest, addressBytes: 16, length)
        case 0x31 where rest.count >= 216 && areFields(rest.dropFirst(216)):
            return .complete(source: nil, length: length)
        default: return .invalid
        }
    }

    private static func complete(_ rest: Bytes, addressBytes: Int, _ length: Int) -> Reading {
        let both = 2 * addressBytes + 4
        guard rest.count >= both, areFields(rest.dropFirst(both)), let source = IPAddress(rest.prefix(addressBytes))
        else {
            return .invalid
        }
        let port = number(rest.dropFirst(2 * addressBytes).prefix(2))
        return .complete(source: source.socketAddress(port: port), length: length)
    }

    /// Whether bytes are additional fields: each a type, a length of two bytes, and a value.
    private static func areFields(_ bytes: Bytes) -> Bool {
        var rest = bytes
        while rest.count >= 3 {
            rest = rest.dropFirst()
            let length = number(rest.prefix(2))
            guard rest.count >= 2 + length else { return false }
            rest = rest.dropFirst(2 + length)
        }
        return rest.isEmpty
    }

    private static func number(_ bytes: Bytes) -> Int {
        bytes.reduce(0) { $0 << 8 | Int($1) }
    }
}
