// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet
import MartletSupport

/// The fields of a query or of a form (`application/x-www-form-urlencoded`), in their order.
///
/// They are decoded as the WHATWG URL standard says in section 5.1, except that nothing is repaired: bad encoding is an
/// error.
public struct FormFields: Sendable {
    public let all: [(name: String, value: String)]
    /// The first thing that is wrong with the encoding; `nil` if nothing is. A text that cannot be decoded is in ``all``
    /// as the client wrote it.
    let problem: Problem?

    /// - Parameter maximumCount: The most fields. It also bounds the work.
    /// - Throws: ``Problem`` of status 400 that names the field.
    package init(_ form: some Collection<UInt8>, maximumCount: Int = .max) throws(Problem) {
        self.init(lenient: form, maximumCount: maximumCount)
        if let problem { throw problem }
    }

    init(lenient form: some Collection<UInt8>, maximumCount: Int = .max) {
        var all: [(name: String, value: String)] = []
        var problem: Problem?
        for pair in Self.pairs(of: form, atMost: maximumCount) {
            guard all.count < maximumCount else {
                problem = problem ?? Problem(.badRequest, "There are more than \(maximumCount) fields. Send fewer.")
                break
            }
            func decode(_ text: some Collection<UInt8>, field: String) -> String {
                do { return try Self.decode(text, plusIsSpace: true, field: field) } catch {
                    problem = problem ?? error
                    return String(decoding: text, as: UTF8.self)
                }
            }
            let name = pair.prefix { $0 != UInt8(ascii: "=") }
            let decodedName = decode(name, field: String(decoding: name.prefix(64), as: UTF8.self))
            all.append((decodedName, decode(pair[name.endIndex...].dropFirst(), field: decodedName)))
        }
        self.all = all
        self.problem = problem
    }

    /// The fields as the client wrote them. What exceeds the bound is one more, however long it is.
    static func pairs<Form: Collection<UInt8>>(of form: Form, atMost count: Int = .max) -> [Form.SubSequence] {
        form.split(separator: UInt8(ascii: "&"), maxSplits: count)
    }

    /// The values of a field, in their order.
    public func values(_ name: String) -> [String] { all.lazy.filter { $0.name.isExactly(name) }.map(\.value) }

    /// The first value of a field; `nil` if that is empty, because clients send empty fields for what they leave out.
    package func text(_ name: String) -> String? {
        let value = all.first { $0.name.isExactly(name) }?.value
        return value?.isEmpty == true ? nil : value
    }

    /// Decodes percent-encoding, once.
    static func decode(
        _ text: some Collection<UInt8>, plusIsSpace: Bool = false, field: String
    ) throws(Problem) -> String {
        if isPlain(text), let decoded = String(utf8: text) { return decoded }
        guard let bytes = text.percentDecoded(plusIsSpace: plusIsSpace) else {
            let message = "The \(field) has a % that no two hex digits follow. Write %25 for a percent sign."
            throw Problem(.badRequest, message, field: field)
        }
        guard let decoded = String(utf8: bytes) else {
            throw Problem(.badRequest, "The \(field) is not UTF-8. Encode it as UTF-8.", field: field)
        }
        return decoded
    }

    /// Whether a text stands for itself.
    private static func isPlain(_ text: some Collection<UInt8>) -> Bool {
        func isPlain(_ bytes: some Collection<UInt8>) -> Bool {
            !bytes.contains { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }
        }
        return text.withContiguousStorageIfAvailable { isPlain($0) } ?? isPlain(text)
    }
}
