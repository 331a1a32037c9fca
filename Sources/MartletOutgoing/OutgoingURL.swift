// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import NIOCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The URL of a server that this process asks. All requests that leave the process go to one, because the HTTP client
/// stops the process at a port above 65535, and decodes what is percent-encoded in a host.
///
/// It is `http` or `https`, with a host, without a user, and with no port or one from 1 to 65535.
package struct OutgoingURL: Sendable, Hashable {
    /// As it is written, without a fragment, and with what cannot stand in a request line percent-encoded.
    package let text: String
    package let isSecure: Bool
    /// A name or an address, an IPv6 one without brackets.
    package let host: String
    package let port: Int
    /// What the field `Host` has.
    package let authority: String
    /// The path and the query, for the request line.
    package let requestTarget: String

    /// - Throws: ``OutgoingURLError``, which says what is wrong without repeating the text.
    package init(_ text: some StringProtocol) throws(OutgoingURLError) {
        try self.init(URLReference(text))
    }

    init(_ reference: URLReference) throws(OutgoingURLError) {
        guard !reference.hasControls else { throw .control }
        let scheme = reference.scheme ?? ""
        isSecure = scheme.isExactlyIgnoringCase("https")
        guard isSecure || scheme.isExactlyIgnoringCase("http") else { throw .scheme }
        guard let authority = reference.authority else { throw .host }
        guard !authority.containsExactly(UInt8(ascii: "@")) else { throw .user }

        let (host, port) = try Self.parts(of: authority)
        self.host = host.name
        self.port = port ?? (isSecure ? 443 : 80)
        self.authority = port.map { "\(host.text):\($0)" } ?? host.text
        let query = reference.query.map { "?\($0.percentEncodedForRequest)" } ?? ""
        let path = reference.path.percentEncodedForRequest
        text = "\(scheme)://\(self.authority)\(path)\(query)"
        requestTarget = (path.isEmpty ? "/" : path) + query
    }

    package func hasSameOrigin(as other: OutgoingURL) -> Bool {
        isSecure == other.isSecure && port == other.port && host.isExactlyIgnoringCase(other.host)
    }

    /// Where a `Location`, or another reference, leads from here (RFC 3986 section 5.2).
    package func resolving(_ location: some StringProtocol) throws(OutgoingURLError) -> OutgoingURL {
        try OutgoingURL(URLReference(location.trimmingBlanks).resolved(against: URLReference(text)))
    }

    /// What a reference names from here, which need not be a URL that can be asked: one with a scheme stays as it is.
    ///
    /// - Throws: ``OutgoingURLError`` where it has none and leads nowhere.
    package func naming(_ reference: String) throws(OutgoingURLError) -> String {
        guard URLReference(reference).scheme == nil else { return reference }
        let fragment = reference.cutExactly(at: UInt8(ascii: "#")).map { "#\($0.behind)" } ?? ""
        return try resolving(reference).text + fragment
    }

    private typealias Host = (name: String, text: String)

    private static func parts(of authority: String) throws(OutgoingURLError) -> (Host, port: Int?) {
        if let inBrackets = authority.cutting(prefix: "[") {
            guard let (address, rest) = inBrackets.cutExactly(at: UInt8(ascii: "]")) else { throw .host }
            guard rest.isEmpty || rest.startsExactly(with: ":") else { throw .host }
            // The same question that the HTTP client asks.
            guard case .v6 = try? SocketAddress(ipAddress: String(address), port: 0) else { throw .host }
            return ((String(address), "[\(address)]"), try port(rest.cutting(prefix: ":") ?? ""))
        }
        let (name, behind) = authority.cutExactly(at: UInt8(ascii: ":")) ?? (authority[...], "")
        guard let host = asciiHost(name) else { throw .host }
        return ((host, host), try port(behind))
    }

    /// A name as DNS has it; `nil` where it is none.
    private static func asciiHost(_ name: Substring) -> String? {
        var name = String(name)
        if !name.utf8.allSatisfy({ $0 < 0x80 }) {
            // Foundation knows how international names are written in ASCII, unless only a part of it is linked.
            guard let host = URL(string: "http://\(name)")?.host else { return nil }
            name = host
        }
        return !name.isEmpty && name.utf8.allSatisfy(\.isHostByte) ? name : nil
    }

    /// What follows the colon; nothing stands for the port of the scheme.
    private static func port(_ digits: Substring) throws(OutgoingURLError) -> Int? {
        guard !digits.isEmpty else { return nil }
        guard digits.utf8.allSatisfy(\.isDigit), let port = Int(digits), (1...65_535).contains(port) else {
            throw .port
        }
        return port
    }
}

/// What is wrong with a URL. It has nothing of the text in it, where a password may be.
package enum OutgoingURLError: Error, Hashable, CustomStringConvertible {
    case control
    case scheme
    case user
    case host
    case port

    /// Follows the name of what has the URL: "`--authorize-url` must begin with http:// or https://".
    package var description: String {
        switch self {
        case .control: "must not have control characters in it"
        case .scheme: "must begin with http:// or https://"
        case .user: "must not have a user or a password in it"
        case .host: "must have a host behind the //: a name, an IPv4 address, or an IPv6 address in brackets"
        case .port: "must have a port from 1 to 65535, or none"
        }
    }
}

extension UInt8 {
    /// Whether the byte may stand in a name: `unreserved` and `sub-delims` of RFC 3986. There is no `%`, which HTTP
    /// clients decode before they write the field `Host`.
    fileprivate var isHostByte: Bool { isUnreserved || "!$&'()*+,;=".utf8.contains(self) }
}
