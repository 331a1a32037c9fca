// SPDX-License-Identifier: Apache-2.0

/// Which origins (RFC 6454 section 6.2) a setting allows: `*`, one such as `https://example.com`, or all hosts below one:
/// `https://*.example.com`.
struct OriginPattern: Hashable, Sendable {
    private enum Kind: Hashable {
        case any
        case exact(String)
        /// `https://` and `.example.com`.
        case below(scheme: String, suffix: String)
    }

    private let kind: Kind

    /// Case does not matter, nor does a scheme's default port.
    ///
    /// - Throws: ``MercureProblem`` of status 500: a setting is wrong.
    init(_ text: String) throws(MercureProblem) {
        if text == "*" {
            kind = .any
            return
        }
        let text = text.lowercased()
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else {
            throw Self.problem(text)
        }
        let scheme = String(text[..<colon]) + "://"
        var host = String(text.dropFirst(scheme.count))
        for (name, port) in [("https://", ":443"), ("http://", ":80")] where scheme == name && host.hasSuffix(port) {
            host.removeLast(port.count)
        }
        let suffix = host.hasPrefix("*.") ? String(host.dropFirst()) : host
        let allowed = ".-_:[]".utf8
        guard scheme.count > 3, !scheme.contains("*"), suffix.count > 1,
            suffix.utf8.allSatisfy({ $0.isUnreserved || allowed.contains($0) })
        else { throw Self.problem(text) }
        kind = host.hasPrefix("*.") ? .below(scheme: scheme, suffix: suffix) : .exact(scheme + host)
    }

    /// Whether every origin is allowed.
    var isWildcard: Bool { kind == .any }

    /// - Parameter origin: As a browser sends it. The opaque origin `null` is allowed by `*` only.
    func matches(_ origin: String) -> Bool {
        switch kind {
        case .any: return true
        case .exact(let exact): return origin.isExactly(exact)
        case .below(let scheme, let suffix):
            guard origin.utf8.count > scheme.utf8.count + suffix.utf8.count,
                origin.utf8.starts(with: scheme.utf8), origin.utf8.reversed().starts(with: suffix.utf8.reversed())
            else { return false }
            let labels = origin.utf8.dropFirst(scheme.utf8.count).dropLast(suffix.utf8.count)
            return labels.allSatisfy { $0.isUnreserved && $0 != UInt8(ascii: "~") }
        }
    }

    private static func problem(_ text: String) -> MercureProblem {
        MercureProblem(
            500, "\(text) is not an origin. Write *, https://example.com or https://*.example.com.", field: "origin")
    }
}
