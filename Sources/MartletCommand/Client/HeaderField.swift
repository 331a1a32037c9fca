// SPDX-License-Identifier: Apache-2.0

/// A field of a request as it is written on the command line: `Name: value`.
struct HeaderField: Equatable, Sendable {
    let name: String
    let value: String

    /// `nil` if the text is no such field.
    init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !text.contains(where: \.isNewline),
            parts[0].allSatisfy({ $0.isASCII && !$0.isWhitespace })
        else { return nil }
        name = String(parts[0])
        value = String(parts[1].drop { $0 == " " || $0 == "\t" })
    }
}
