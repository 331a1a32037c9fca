// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The type of a response.
package enum MediaType {
    /// The type and subtype in lower case, without parameters. The Fetch standard says how: of all fields `Content-Type`,
    /// the last well-formed value other than `*/*` counts.
    ///
    /// - Returns: `nil` if no value is well-formed.
    package static func essence(of fields: [String]) -> String? {
        for value in values(of: fields).reversed() {
            if let essence = essence(of: value), !essence.isExactly("*/*") { return essence }
        }
        return nil
    }

    private static func essence(of value: Substring) -> String? {
        let essence = (value.cutExactly(at: UInt8(ascii: ";"))?.before ?? value).trimmingBlanks
        guard let (type, subtype) = essence.cutExactly(at: UInt8(ascii: "/")) else { return nil }
        return type.utf8.isHTTPToken && subtype.utf8.isHTTPToken ? essence.asciiLowercased : nil
    }

    /// The fields as one list, split at commas outside quotes.
    private static func values(of fields: [String]) -> [Substring] {
        let list = fields.joined(separator: ",")
        var values: [Substring] = []
        var start = list.startIndex
        var isQuoted = false
        var isEscaped = false
        for index in list.utf8.indices {
            let byte = list.utf8[index]
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if isQuoted, byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if !isQuoted, byte == UInt8(ascii: ",") {
                values.append(list[start..<index])
                start = list.utf8.index(after: index)
            }
        }
        return values + [list[start...]]
    }
}
