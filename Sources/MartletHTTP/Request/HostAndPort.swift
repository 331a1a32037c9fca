// SPDX-License-Identifier: Apache-2.0

import MartletSupport
package import NIOCore

/// A host and optionally a port: the value of `Host`, the authority of a URL (RFC 9110 section 7.2), or the part of an origin
/// behind its scheme.
///
/// A host is an IPv6 address in brackets, or labels with dots between them and optionally a last dot. A label has ASCII
/// letters, digits, `-`, `_` and `~`. RFC 3986 also allows percent-encoding and punctuation, but no client can look up such a
/// name.
package struct HostAndPort: Hashable, Sendable {
    /// The host in lower case; an address is without its brackets.
    package let host: String
    /// From 0 to 65535.
    package let port: Int?

    /// `nil` if the text is anything else, for example with a user in front of the host.
    package init?(_ text: some StringProtocol) {
        let hostEnd: String.Index
        if text.utf8.first == UInt8(ascii: "[") {
            guard let bracket = text.utf8.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            host = text[text.utf8.index(after: text.startIndex)..<bracket].asciiLowercased
            guard Self.isIPv6(host) else { return nil }
            hostEnd = text.utf8.index(after: bracket)
        } else {
            hostEnd = text.utf8.firstIndex(of: UInt8(ascii: ":")) ?? text.endIndex
            host = text[..<hostEnd].asciiLowercased
            guard Self.isName(host) else { return nil }
        }
        let rest = text[hostEnd...].utf8
        guard let colon = rest.first else {
            port = nil
            return
        }
        let digits = rest.dropFirst()
        guard colon == UInt8(ascii: ":"), digits.allSatisfy(\.isDigit) else { return nil }
        port = digits.isEmpty ? nil : Int(String(decoding: digits, as: UTF8.self))
        guard digits.isEmpty || port.map((0...65_535).contains) == true else { return nil }
    }

    private static func isIPv6(_ host: String) -> Bool {
        guard host.utf8.allSatisfy({ $0.hexDigit != nil || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".") }),
            case .v6? = try? SocketAddress(ipAddress: host, port: 0)
        else { return false }
        return true
    }

    private static func isName(_ host: String) -> Bool {
        let dot = UInt8(ascii: ".")
        var (last, isName) = (dot, true)
        for byte in host.utf8 {
            isName = isName && (byte == dot ? last != dot : byte.isUnreserved)
            last = byte
        }
        return isName && !host.isEmpty
    }
}

/// The addresses that only programs on this machine can reach.
package enum Loopback {
    /// Whether a host means this machine and nothing else: `localhost`, an address in 127.0.0.0/8, or `::1`.
    ///
    /// - Parameter host: A name, or an address without brackets.
    package static func contains(_ host: String) -> Bool {
        if host.isExactlyIgnoringCase("localhost") { return true }
        return (try? SocketAddress(ipAddress: host, port: 0)).map(contains) ?? false
    }

    /// Whether only this machine can reach the address. A Unix domain socket counts as such.
    package static func contains(_ address: SocketAddress) -> Bool {
        switch address {
        // The address is behind the port, and in IPv6 behind the flow, too (netinet/in.h).
        case .v4(let address):
            return withUnsafeBytes(of: address.address) { $0[4] == 127 }
        case .v6(let address):
            return withUnsafeBytes(of: address.address) { bytes in
                let (start, end) = (bytes[8..<20], bytes[20..<24])
                let isMapped = start.elementsEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF])
                return isMapped ? end.first == 127 : start.allSatisfy { $0 == 0 } && end.elementsEqual([0, 0, 0, 1])
            }
        case .unixDomainSocket:
            return true
        }
    }
}
