// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore

/// Which origins (RFC 6454 section 6.2) a setting allows: `*`, one such as `https://example.com`, or all hosts below one:
/// `https://*.example.com`.
public struct OriginPattern: Hashable, Sendable {
    private enum Kind: Hashable {
        case any
        case exact(String)
        /// `https://` and `.example.com`.
        case below(scheme: String, suffix: String)
    }

    /// As it was written.
    public let text: String
    private let kind: Kind

    /// Case does not matter, nor does a scheme's default port. `nil` where the text is none of the three.
    public init?(_ text: String) {
        self.text = text
        if text == "*" {
            kind = .any
            return
        }
        let text = text.lowercased()
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
        let scheme = String(text[..<colon]) + "://"
        var host = String(text.dropFirst(scheme.count))
        for (name, port) in [("https://", ":443"), ("http://", ":80")] where scheme == name && host.hasSuffix(port) {
            host.removeLast(port.count)
        }
        let suffix = host.hasPrefix("*.") ? String(host.dropFirst()) : host
        guard scheme.count > 3, !scheme.contains("*"), suffix.count > 1,
            suffix.utf8.allSatisfy({ $0.isInHostName || ":[]".utf8.contains($0) })
        else { return nil }
        kind = host.hasPrefix("*.") ? .below(scheme: scheme, suffix: suffix) : .exact(scheme + host)
    }

    /// Whether every origin is allowed.
    public var isWildcard: Bool { kind == .any }

    /// - Parameter origin: As a browser sends it. The opaque origin `null` is allowed by `*` only.
    public func matches(_ origin: String) -> Bool {
        switch kind {
        case .any: return true
        case .exact(let exact): return origin.utf8.elementsEqual(exact.utf8)
        case .below(let scheme, let suffix):
            guard origin.utf8.count > scheme.utf8.count + suffix.utf8.count,
                origin.utf8.starts(with: scheme.utf8), origin.utf8.reversed().starts(with: suffix.utf8.reversed())
            else { return false }
            return origin.utf8.dropFirst(scheme.utf8.count).dropLast(suffix.utf8.count).allSatisfy(\.isInHostName)
        }
    }
}

extension Request {
    /// Where a request that changes something comes from: the header `Origin`, else the origin of `Referer`. `nil` where
    /// neither says.
    package var sourceOrigin: String? {
        headers[.origin] ?? headers[.referer].flatMap(Self.origin(ofURL:))
    }

    /// The scheme and the host of a URL: what is before its path. `nil` where it has none, or names a user.
    static func origin(ofURL url: String) -> String? {
        guard let scheme = url.firstIndex(of: ":"), url[scheme...].hasPrefix("://") else { return nil }
        let authority = url[scheme...].dropFirst(3).prefix { !"/\\?#".contains($0) }
        guard !authority.isEmpty, !authority.contains("@") else { return nil }
        return String(url[..<authority.endIndex])
    }
}

extension UInt8 {
    fileprivate var isInHostName: Bool {
        switch Unicode.Scalar(self) {
        case "a"..."z", "A"..."Z", "0"..."9", "-", ".", "_": true
        default: false
        }
    }
}
