// SPDX-License-Identifier: Apache-2.0

/// Reads what browsers send back (RFC 6265 section 5.4).
enum CookieReader {
    /// The first value of a cookie that is not empty, without quotes around it. Of cookies of one name the browser sends
    /// the one with the longest path first.
    ///
    /// - Parameter headers: The values of the headers `Cookie`.
    static func value(of name: String, in headers: [String]) -> String? {
        for pair in headers.lazy.flatMap({ $0.split(separator: ";") }) {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0].trimmed == name else { continue }
            var value = parts[1].trimmed
            if value.count >= 2, value.first == "\"", value.last == "\"" { value = value.dropFirst().dropLast() }
            if !value.isEmpty { return String(value) }
        }
        return nil
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = drop { $0 == " " || $0 == "\t" }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }
}
