// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import NIOCore

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The URL of a server that this process sends requests to: `http` or `https`, with a host, without a user, and without a
/// port or with one from 1 to 65535.
///
/// All requests need one, because the HTTP client stops the process at a port above 65535, and decodes percent-encoding in
/// a host.
package struct OutgoingURL: Sendable, Hashable {
    /// The URL as it is written, without its fragment. Bytes that a request line does not allow are percent-encoded.
    package let text: String
    package let isSecure: Bool
    /// A name or an address; an IPv6 address has no brackets.
    package let host: String
    package let port: Int
    /// The value of the field `Host`.
    package let authority: String
    /// The path and the query, for the request line.
    package let requestTarget: String

    /// - Throws: ``OutgoingURLError``, which does not repeat the text.
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

    /// The URL that a `Location` or another reference leads to from here (RFC 3986 section 5.2).
    package func resolving(_ location: some StringProtocol) throws(OutgoingURLError) -> OutgoingURL {
        try OutgoingURL(URLReference(location.trimmingBlanks).resolved(against: URLReference(text)))
    }

    /// The name that a reference stands for here. It can be one that no request can be sent to: a reference with a scheme
    /// stays as it is.
    ///
    /// - Throws: ``OutgoingURLError`` if the reference has no scheme and leads nowhere.
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
            // The HTTP client decides in the same way.
            guard case .v6 = try? SocketAddress(ipAddress: String(address), port: 0) else { throw .host }
            return ((String(address), "[\(address)]"), try port(rest.cutting(prefix: ":") ?? ""))
        }
        let (name, behind) = authority.cutExactly(at: UInt8(ascii: ":")) ?? (authority[...], "")
        guard let host = asciiHost(name) else { throw .host }
        return ((host, host), try port(behind))
    }

    /// The name as DNS knows it; `nil` if it is no name.
    private static func asciiHost(_ name: Substring) -> String? {
        var name = String(name)
        if !name.utf8.allSatisfy({ $0 < 0x80 }) {
            // Foundation writes international names in ASCII, unless only FoundationEssentials is linked.
            guard let host = URL(string: "http://\(name)")?.host else { return nil }
            name = host
        }
        return !name.isEmpty && name.utf8.allSatisfy(\.isHostByte) ? name : nil
    }

    /// The port after the colon; `nil` for that of the scheme.
    private static func port(_ digits: Substring) throws(OutgoingURLError) -> Int? {
        guard !digits.isEmpty else { return nil }
        guard digits.utf8.allSatisfy(\.isDigit), let port = Int(digits), (1...65_535).contains(port) else {
            throw .port
        }
        return port
    }
}

/// What is wrong with a URL. It contains nothing of the text, which may have a password.
package enum OutgoingURLError: Error, Hashable, CustomStringConvertible {
    case control
    case scheme
    case user
    case host
    case port

    /// The part of a sentence after the subject: "`--authorize-url` must begin with http:// or https://".
    package var description: String {
        switch self {
        case .control: "must not have control characters in it"
        case .scheme: "must begin with http:// or https://"
        case .user: "must not have a user or a password in it"
        case .host: "must have a host after the //: a name, an IPv4 address, or an IPv6 address in brackets"
        case .port: "must have a port from 1 to 65535, or none"
        }
    }
}

extension UInt8 {
    /// Whether a name may contain the byte: `unreserved` and `sub-delims` of RFC 3986. `%` is not among them, because HTTP
    /// clients decode it before they write the field `Host`.
    fileprivate var isHostByte: Bool { isUnreserved || "!$&'()*+,;=".utf8.contains(self) }
}

/// The query of a URL, and the body of a form (`application/x-www-form-urlencoded`).
package enum URLQuery {
    /// Only unreserved characters stay as they are, so the text means the same in a URL and in a form.
    package static func text(_ parameters: [(name: String, value: String)]) -> String {
        parameters.map { "\($0.name.percentEncoded)=\($0.value.percentEncoded)" }.joined(separator: "&")
    }

    /// The URL with more parameters. The rest stays as it is written, without the fragment, which servers do not receive.
    package static func adding(_ parameters: [(name: String, value: String)], to url: String) -> String {
        let url = url.cutExactly(at: UInt8(ascii: "#"))?.before ?? url[...]
        guard !parameters.isEmpty else { return String(url) }
        let added = text(parameters)
        guard let query = url.cutExactly(at: UInt8(ascii: "?"))?.behind else { return "\(url)?\(added)" }
        return query.isEmpty || query.endsExactly(with: "&") ? "\(url)\(added)" : "\(url)&\(added)"
    }
}
