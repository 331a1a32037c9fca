// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore
import Martlet
import MartletSupport

/// The target of a request (RFC 9112, section 3.2), as the client wrote it: nothing decoded, no segment dropped.
package struct RequestTarget {
    package let path: Substring
    /// Without its `?`.
    package let queryString: Substring

    package init(_ request: Request) {
        let target = request.head.path ?? "/"
        (path, queryString) = target.cutExactly(at: UInt8(ascii: "?")) ?? (target[...], "")
    }

    /// The parameters of the query in their order.
    package var query: [(name: String, value: String)] {
        get throws(Problem) { try Self.fields(of: queryString.utf8) }
    }

    /// The fields of a form, in their order, decoded as the WHATWG URL standard says in section 5.1, but that nothing is
    /// repaired: bad encoding is refused.
    ///
    /// - Parameter maximumCount: How many fields there may be. It also bounds the work.
    /// - Throws: ``Problem`` of status 400 that names the field.
    package static func fields(
        of form: some Collection<UInt8>, maximumCount: Int = .max
    ) throws(Problem) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        for pair in form.split(separator: UInt8(ascii: "&"), maxSplits: maximumCount) {
            guard fields.count < maximumCount else {
                throw Problem(.badRequest, "There are more than \(maximumCount) fields. Send fewer.")
            }
            let rawName = pair.prefix { $0 != UInt8(ascii: "=") }
            let name = try decode(
                rawName, plusIsSpace: true, field: String(decoding: rawName.prefix(64), as: UTF8.self))
            let value = try decode(pair[rawName.endIndex...].dropFirst(), plusIsSpace: true, field: name)
            fields.append((name, value))
        }
        return fields
    }

    /// Decodes percent escapes, once.
    static func decode(
        _ text: some Collection<UInt8>, plusIsSpace: Bool = false, field: String
    ) throws(Problem) -> String {
        guard let bytes = text.percentDecoded(plusIsSpace: plusIsSpace) else {
            let message = "The \(field) has a % that no two hex digits follow. Write %25 for a percent sign."
            throw Problem(.badRequest, message, field: field)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw Problem(.badRequest, "The \(field) is not UTF-8. Encode it as UTF-8.", field: field)
        }
        return decoded
    }
}

extension [(name: String, value: String)] {
    /// The values of a parameter, in their order.
    package func values(_ name: String) -> [String] { lazy.filter { $0.name.isExactly(name) }.map(\.value) }
}
