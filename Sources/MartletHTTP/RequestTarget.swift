// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore

/// The target of a request (RFC 9112, section 3.2), as the client wrote it: nothing decoded, no segment dropped.
package struct RequestTarget {
    package let path: Substring
    /// Without its `?`.
    package let queryString: Substring

    package init(_ request: Request) {
        var target = (request.head.path ?? "/")[...]
        if let scheme = target.firstRange(of: "://"), target.first != "/" {
            let authority = target[scheme.upperBound...]
            target = authority.firstIndex { $0 == "/" || $0 == "?" }.map { authority[$0...] } ?? "/"
        }
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = parts[0]
        queryString = parts.count > 1 ? parts[1] : ""
    }

    /// The parameters of the query in their order, decoded as a form is (WHATWG URL, section 5.1).
    package var query: [(name: String, value: String)] {
        get throws(Problem) {
            var parameters: [(name: String, value: String)] = []
            for pair in queryString.split(separator: "&") {
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                let name = try Self.decode(parts[0], plusIsSpace: true, field: String(parts[0]))
                let value = try Self.decode(parts.count > 1 ? parts[1] : "", plusIsSpace: true, field: name)
                parameters.append((name, value))
            }
            return parameters
        }
    }

    /// Decodes percent escapes, once.
    static func decode(_ text: Substring, plusIsSpace: Bool = false, field: String) throws(Problem) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst()?.hexDigit, let low = rest.popFirst()?.hexDigit else {
                    throw Problem(
                        .badRequest,
                        "The \(field) has a % that no two hex digits follow. Write %25 for a percent sign.",
                        field: field)
                }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace:
                bytes.append(UInt8(ascii: " "))
            default:
                bytes.append(byte)
            }
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw Problem(.badRequest, "The \(field) is not UTF-8. Encode it as UTF-8.", field: field)
        }
        return decoded
    }
}

extension [(name: String, value: String)] {
    /// The values of a parameter, in their order.
    package func values(_ name: String) -> [String] { lazy.filter { $0.name == name }.map(\.value) }
}

extension UInt8 {
    fileprivate var hexDigit: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
