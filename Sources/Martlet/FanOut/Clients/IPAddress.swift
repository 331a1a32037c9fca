// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// An address of the internet without a port. An IPv4 address equals the same address mapped into IPv6 (RFC 4291 section
/// 2.5.5.2).
package struct IPAddress: Hashable, Sendable {
    /// The 128 bits; those of IPv4 stand behind `::ffff`.
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Parameter bytes: 4 or 16, in the order of the network; `nil` for any other number.
    package init?(_ bytes: some Collection<UInt8>) {
        func number(_ bytes: some Collection<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
        switch bytes.count {
        case 4: self.init(high: 0, low: 0xFFFF << 32 | number(bytes))
        case 16: self.init(high: number(bytes.prefix(8)), low: number(bytes.dropFirst(8)))
        default: return nil
        }
    }

    /// `nil` for a Unix domain socket.
    package init?(_ address: SocketAddress) {
        switch address {
        // The address is behind the port, and in IPv6 behind the flow, too (netinet/in.h).
        case .v4(let address): self.init(withUnsafeBytes(of: address.address) { Array($0[4..<8]) })
        case .v6(let address): self.init(withUnsafeBytes(of: address.address) { Array($0[8..<24]) })
        case .unixDomainSocket: return nil
        }
    }

    /// `nil` if the text is no address as `inet_pton` reads it: `192.0.2.1`, or `2001:db8::1` without brackets and zone.
    package init?(_ text: some StringProtocol) {
        // No zero byte, behind which nothing would be read, and no zone (`%eth0`).
        guard text.utf8.count <= Self.mostTextBytes, text.utf8.allSatisfy({ (0x26...0x7E).contains($0) }),
            let address = try? SocketAddress(ipAddress: String(text), port: 0)
        else { return nil }
        self.init(address)
    }

    /// The longest text of an address is shorter.
    private static let mostTextBytes = 64

    package var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

    /// What counts as one client: an IPv4 address, or the /64 of an IPv6 address, which is the smallest network that a
    /// provider gives to one customer.
    var client: IPAddress { isIPv4 ? self : IPAddress(high: high, low: 0) }

    private var bytes: [UInt8] {
        let all = [high, low].flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * $0)) } }
        return isIPv4 ? Array(all.suffix(4)) : all
    }

    /// `nil` never happens: there are 4 or 16 bytes.
    package func socketAddress(port: Int = 0) -> SocketAddress? {
        try? SocketAddress(packedIPAddress: ByteBuffer(bytes: bytes), port: port)
    }
}

/// A network of addresses: `10.0.0.0/8`, `2001:db8::/32`, or a single address (RFC 4632, RFC 4291 section 2.3).
package struct IPNetwork: Hashable, Sendable {
    private let start: IPAddress
    /// Of 128.
    private let bits: Int
    /// As it was written.
    package let text: String

    /// `nil` if the text is no network, or if bits behind its prefix are set, which is most often a mistake.
    package init?(_ text: String) {
        let slash = text.utf8.firstIndex(of: UInt8(ascii: "/"))
        guard let start = IPAddress(text[..<(slash ?? text.endIndex)]) else { return nil }
        // A mapped address is written with the prefix of IPv6.
        let isWrittenAsIPv4 = !text.utf8.contains(UInt8(ascii: ":"))
        var bits = 128
        if let slash {
            let digits = text[text.utf8.index(after: slash)...]
            let most = isWrittenAsIPv4 ? 32 : 128
            guard (1...3).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let length = Int(digits), length <= most
            else { return nil }
            bits = 128 - most + length
        }
        self.start = start
        self.bits = bits
        self.text = text
        guard Self.masked(start, bits) == start else { return nil }
    }

    package func contains(_ address: IPAddress) -> Bool {
        // Networks of IPv6 that are wider than the mapped addresses do not contain these.
        (!address.isIPv4 || bits >= 96) && Self.masked(address, bits) == start
    }

    private static func masked(_ address: IPAddress, _ bits: Int) -> IPAddress {
        func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : ~(.max >> UInt64(bits)) }
        return IPAddress(high: address.high & mask(bits), low: address.low & mask(bits - 64))
    }
}
