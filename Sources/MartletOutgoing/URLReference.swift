// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The parts of a URL or of a relative reference (RFC 3986 section 4.1), as they are written. The fragment is dropped.
struct URLReference {
    var scheme: String?
    var authority: String?
    var path: String
    var query: String?

    init(_ text: some StringProtocol) {
        let text = String(text)
        var rest = text.cutExactly(at: UInt8(ascii: "#"))?.before ?? text[...]
        if let (before, behind) = rest.cutExactly(at: UInt8(ascii: ":")), before.isScheme {
            scheme = String(before)
            rest = behind
        }
        if let (before, behind) = rest.cutExactly(at: UInt8(ascii: "?")) {
            query = String(behind)
            rest = before
        }
        if let behind = rest.cutting(prefix: "//") {
            let end = behind.utf8.firstIndex(of: UInt8(ascii: "/")) ?? behind.endIndex
            authority = String(behind[..<end])
            rest = behind[end...]
        }
        path = String(rest)
    }

    var hasControls: Bool {
        [scheme, authority, path, query].contains { $0?.utf8.contains { $0 < 0x20 || $0 == 0x7F } == true }
    }

    /// The target of the reference, relative to a URL (section 5.2.2).
    func resolved(against base: URLReference) -> URLReference {
        var target = self
        if scheme == nil {
            target.scheme = base.scheme
            if authority == nil {
                target.authority = base.authority
                if path.isEmpty {
                    target.path = base.path
                    target.query = query ?? base.query
                } else if !path.startsExactly(with: "/") {
                    let end = base.path.utf8.lastIndex(of: UInt8(ascii: "/"))
                    let directory = end.map { base.path[...$0] } ?? "/"
                    target.path = directory + path
                }
            }
        }
        target.path = target.path.removingDotSegments
        return target
    }
}

extension StringProtocol {
    /// Whether it is a scheme (section 3.1).
    fileprivate var isScheme: Bool {
        guard let first = utf8.first, first.isLetter else { return false }
        return utf8.allSatisfy { $0.isLetter || $0.isDigit || "+-.".utf8.contains($0) }
    }

    /// The path without the segments `.` and `..` (section 5.2.4).
    fileprivate var removingDotSegments: String {
        var kept: [SubSequence] = []
        let segments = splitExactly(at: UInt8(ascii: "/"))
        for (index, segment) in segments.enumerated() {
            let isDots = segment.isExactly(".") || segment.isExactly("..")
            // The first segment is the text before the first slash.
            if segment.isExactly(".."), kept.count > 1 { kept.removeLast() }
            if !isDots { kept.append(segment) } else if index == segments.count - 1 { kept.append("") }
        }
        return kept.joined(separator: "/")
    }

    /// The text with everything percent-encoded that is not allowed in a path or a query (sections 3.3 and 3.4),
    /// including a `%` that encodes nothing.
    var percentEncodedForRequest: String {
        var text = ""
        let scalars = unicodeScalars
        for index in scalars.indices {
            let scalar = scalars[index]
            let digits = scalars[index...].dropFirst().prefix(2).filter { $0.properties.isASCIIHexDigit }
            if scalar.isPlainInRequest || scalar == "%" && digits.count == 2 {
                text.unicodeScalars.append(scalar)
            } else {
                text += String(scalar).percentEncoded
            }
        }
        return text
    }
}

extension Unicode.Scalar {
    fileprivate var isPlainInRequest: Bool {
        isASCII && (UInt8(ascii: self).isUnreserved || "!$&'()*+,;=:@/?".unicodeScalars.contains(self))
    }
}

extension UInt8 {
    fileprivate var isLetter: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(asciiLowercased) }
}
