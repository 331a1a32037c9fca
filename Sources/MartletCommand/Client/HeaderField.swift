// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// A header of a request as it is written on the command line: `Name: value`.
struct HeaderField: Equatable, Sendable {
    let name: String
    private(set) var value: String

    /// The line in the head of a request.
    var line: String { "\(name): \(value)" }

    static func == (a: Self, b: Self) -> Bool { a.name.isExactly(b.name) && a.value.isExactly(b.value) }

    /// `nil` if the text is not a header.
    init?(_ text: String) {
        guard let (name, value) = text.cutExactly(at: UInt8(ascii: ":")), name.utf8.isHTTPToken,
            value.utf8.isHTTPFieldValue
        else { return nil }
        self.name = String(name)
        self.value = String(value.trimmingBlanks)
    }

    /// The headers, with values of one name joined, in any case: cookies as in RFC 6265 section 4.2.1, others as a list
    /// (RFC 9110 section 5.3).
    static func joined(_ fields: [HeaderField]) -> [HeaderField] {
        fields.reduce(into: []) { joined, field in
            if let index = joined.firstIndex(where: { $0.name.isExactlyIgnoringCase(field.name) }) {
                let separator = field.name.isExactlyIgnoringCase("Cookie") ? "; " : ", "
                joined[index].value += separator + field.value
            } else {
                joined.append(field)
            }
        }
    }
}
