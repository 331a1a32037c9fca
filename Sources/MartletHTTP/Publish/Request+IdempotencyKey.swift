// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import Hummingbird

extension HTTPField.Name {
    package static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
}

extension Request {
    /// The key that names a publish (draft-ietf-httpapi-idempotency-key-header): bare, as most clients send it, or as the
    /// draft has it, a string in quotes (RFC 9651 section 3.3.3). `nil` where there is none.
    ///
    /// - Throws: ``Problem`` of status 400 where there are several, or what begins with a quote is no such string. Whether
    ///   the key is within the limits is the hub's to say.
    package var idempotencyKey: String? {
        get throws(Problem) {
            let values = headers[values: .idempotencyKey]
            guard values.count <= 1 else { throw .badKey("There is more than one Idempotency-Key. Send one.") }
            guard let value = values.first, value.unicodeScalars.first == "\"" else { return values.first }
            guard let key = Self.content(of: value) else {
                throw .badKey("The Idempotency-Key begins with a quote and is no string. Close it, or send it bare.")
            }
            return key
        }
    }

    /// What a structured string has between its quotes; `nil` where it is none.
    private static func content(of string: String) -> String? {
        var content = String.UnicodeScalarView()
        var rest = string.unicodeScalars.dropFirst()
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\"": return rest.isEmpty ? String(content) : nil
            case "\\":
                guard let escaped = rest.popFirst(), escaped == "\"" || escaped == "\\" else { return nil }
                content.append(escaped)
            default: content.append(scalar)
            }
        }
        return nil
    }
}

extension Problem {
    fileprivate static func badKey(_ detail: String) -> Problem {
        Problem(.badRequest, detail, field: HTTPField.Name.idempotencyKey.rawName)
    }
}
