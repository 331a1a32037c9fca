// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletSupport
import NIOCore

/// The origins (RFC 6454 section 6.2) that a setting allows: all of them (`*`), one (`https://example.com`), or all hosts
/// below a domain (`https://*.example.com`).
///
/// Apps in a web view have origins such as `capacitor://localhost`, `ionic://localhost` or `file://`, with or without a
/// host. `null` is the origin of sandboxed frames and local files. **Any** site can put a page into a sandboxed frame, so
/// `null` allows every site, cookies included.
public struct OriginPattern: Hashable, Sendable {
    private enum Kind: Hashable {
        case any
        case exact(String)
        /// `https://` and `.example.com`.
        case below(scheme: String, suffix: String)
    }

    /// The text of the setting, as it was written.
    public let text: String
    private let kind: Kind

    /// Case and the default port of a scheme are ignored. `nil` if the text is no pattern, or if no browser sends an origin
    /// that it could match: with a path, a user, or a port above 65535.
    public init?(_ text: String) {
        self.text = text
        let text = text.asciiLowercased
        if text.isExactly("*") {
            kind = .any
        } else if text.isExactly("null") {
            kind = .exact(text)
        } else if let origin = Self.origin(text) {
            kind = origin
        } else {
            return nil
        }
    }

    private static func origin(_ text: String) -> Kind? {
        guard let (name, rest) = text.cutExactly(at: UInt8(ascii: ":")), name.utf8.isSchemeName,
            let authority = rest.cutting(prefix: "//")
        else { return nil }
        let scheme = "\(name)://"
        let defaultPort = ["http": 80, "https": 443][String(name)]
        if authority.isEmpty { return defaultPort == nil ? .exact(scheme) : nil }
        let parent = authority.cutting(prefix: "*.")
        let written = parent ?? authority
        guard let host = HostAndPort(written), host.port != 0 else { return nil }
        let bare = host.isIPv6 ? "[\(host.host)]" : host.host
        let full = host.port.map { "\(bare):\($0)" } ?? bare
        // Browsers write no empty port, no zeros in front of one, and an address in its shortest form.
        guard written.isExactly(full) else { return nil }
        if host.isIPv6 || (defaultPort != nil && host.endsInNumber) {
            guard parent == nil, host.isShortestAddress else { return nil }
        }
        let shown = host.port == defaultPort ? bare : full
        return parent == nil ? .exact(scheme + shown) : .below(scheme: scheme, suffix: ".\(shown)")
    }

    /// Whether every origin is allowed.
    public var isWildcard: Bool { kind == .any }

    /// Whether an origin is allowed.
    ///
    /// - Parameter origin: The origin as a browser sends it. The patterns `null` and `*` allow the opaque origin `null`.
    public func matches(_ origin: String) -> Bool {
        switch kind {
        case .any: return true
        case .exact(let exact): return origin.isExactly(exact)
        case .below(let scheme, let suffix):
            guard origin.utf8.count > scheme.utf8.count + suffix.utf8.count,
                origin.startsExactly(with: scheme), origin.endsExactly(with: suffix)
            else { return false }
            return origin.utf8.dropFirst(scheme.utf8.count).dropLast(suffix.utf8.count).allSatisfy { byte in
                byte.isUnreserved && byte == byte.asciiLowercased
            }
        }
    }
}

extension HostAndPort {
    fileprivate var isIPv6: Bool { host.containsExactly(UInt8(ascii: ":")) }

    /// Whether a browser takes the host for an IPv4 address (WHATWG URL, section 3.5).
    fileprivate var endsInNumber: Bool {
        guard let last = host.splitExactly(at: UInt8(ascii: ".")).last(where: { !$0.isEmpty }) else { return false }
        return last.utf8.allSatisfy(\.isDigit) || last.startsExactly(with: "0x")
    }

    /// Whether the host is an address as browsers write it.
    fileprivate var isShortestAddress: Bool {
        guard let address = (try? SocketAddress(ipAddress: host, port: 0))?.ipAddress else { return false }
        // Browsers write an IPv4 address inside an IPv6 address in hex digits; the system does not.
        return address.isExactly(host) || (isIPv6 && address.containsExactly(UInt8(ascii: ".")))
    }
}

extension Substring.UTF8View {
    /// Whether this is the name of a scheme (RFC 3986 section 3.1), in lower case.
    fileprivate var isSchemeName: Bool {
        guard let first, first.isLowercaseLetter else { return false }
        return allSatisfy { $0.isLowercaseLetter || $0.isDigit || "+-.".utf8.contains($0) }
    }
}

extension UInt8 {
    fileprivate var isLowercaseLetter: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) }
}
