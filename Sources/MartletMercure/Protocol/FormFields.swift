// SPDX-License-Identifier: Apache-2.0

/// The fields of an `application/x-www-form-urlencoded` text: a body, or the query of a URL.
///
/// Parsed as the WHATWG URL standard says in section 5.1, but that nothing is repaired: a `%` that is not followed by
/// two hex digits, and what is not UTF-8, is refused. The order and every repetition are kept; names are compared byte
/// for byte.
struct FormFields: Sendable {
    struct Field: Sendable {
        let name: String
        let value: String
    }

    let all: [Field]

    /// - Parameters:
    ///   - bytes: The text, without the `?` of a query. An empty one has no fields.
    ///   - maximumCount: How many fields there may be. It also bounds the work: no more than these are decoded.
    /// - Throws: ``MercureProblem`` of status 400 that names the field.
    init(_ bytes: some Collection<UInt8>, maximumCount: Int) throws(MercureProblem) {
        var fields: [Field] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let pair = rest.prefix { $0 != UInt8(ascii: "&") }
            rest = rest[pair.endIndex...].dropFirst()
            guard !pair.isEmpty else { continue }
            guard fields.count < maximumCount else {
                throw MercureProblem(400, "There are more than \(maximumCount) fields. Send fewer.")
            }
            let rawName = pair.prefix { $0 != UInt8(ascii: "=") }
            let name = try Self.decode(rawName, of: String(decoding: rawName.prefix(64), as: UTF8.self))
            fields.append(Field(name: name, value: try Self.decode(pair[rawName.endIndex...].dropFirst(), of: name)))
        }
        all = fields
    }

    /// The values of a field, in their order.
    func values(_ name: String) -> [String] { all.lazy.filter { $0.name.isExactly(name) }.map(\.value) }

    /// The first value of a field, unless that is empty: clients send empty fields for what they leave out.
    func text(_ name: String) -> String? {
        let value = all.first { $0.name.isExactly(name) }?.value
        return value?.isEmpty == true ? nil : value
    }

    /// Whether the field is there, whatever its value.
    func contains(_ name: String) -> Bool { all.contains { $0.name.isExactly(name) } }

    private static func decode(_ bytes: some Collection<UInt8>, of field: String) throws(MercureProblem) -> String {
        guard let decoded = bytes.percentDecoded(plusIsSpace: true) else {
            throw MercureProblem(
                400, "The \(field) has a % that no two hex digits follow. Write %25 for a percent sign.", field: field)
        }
        guard let text = String(validating: decoded, as: UTF8.self) else {
            throw MercureProblem(400, "The \(field) is not UTF-8. Encode it as UTF-8.", field: field)
        }
        return text
    }
}

extension String {
    /// Whether the bytes are the same. `==` also holds for two spellings of one text.
    func isExactly(_ other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}
