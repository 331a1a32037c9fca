// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Reads what browsers send back (RFC 6265 section 5.4).
enum CookieReader {
    /// The first value of a cookie that is not empty, without quotes around it. Of cookies of one name the browser sends
    /// the one with the longest path first.
    ///
    /// - Parameter headers: The values of the headers `Cookie`.
    static func value(of name: String, in headers: [String]) -> String? {
        for pair in headers.lazy.flatMap({ $0.splitExactly(at: UInt8(ascii: ";")) }) {
            guard let (found, text) = pair.cutExactly(at: UInt8(ascii: "=")), found.trimmingBlanks.isExactly(name)
            else { continue }
            let value = text.trimmingBlanks.withoutQuotes
            if !value.isEmpty { return String(value) }
        }
        return nil
    }
}

extension Substring {
    fileprivate var withoutQuotes: Substring {
        let quote = UInt8(ascii: "\"")
        guard utf8.count >= 2, utf8.first == quote, utf8.last == quote else { return self }
        return self[utf8.index(after: startIndex)..<utf8.index(before: endIndex)]
    }
}
