// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The parameters of a request's target, as the client wrote them.
struct QueryParameters {
    /// What is before the query.
    let path: Substring
    /// The name decoded, and the text of the pair.
    private let pairs: [(name: String, text: Substring)]

    /// - Parameter target: RFC 9112 section 3.2.
    init(target: String) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = parts[0]
        pairs = (parts.count > 1 ? parts[1] : "").split(separator: "&").map { pair in
            (Self.decode(pair.prefix { $0 != "=" }), pair)
        }
    }

    /// The values of a parameter, decoded as a form is (WHATWG URL, section 5.1).
    func values(of name: String) -> [String] {
        pairs.filter { $0.name == name }.map { Self.decode($0.text.drop { $0 != "=" }.dropFirst()) }
    }

    /// The target without the parameters of these names.
    func target(without names: Set<String>) -> String {
        let rest = pairs.filter { !names.contains($0.name) }.map(\.text).joined(separator: "&")
        return rest.isEmpty ? String(path) : "\(path)?\(rest)"
    }

    /// What is no escape, or not UTF-8, is left as it is.
    private static func decode(_ text: Substring) -> String {
        let text = String(text).replacing("+", with: " ")
        return text.removingPercentEncoding ?? text
    }
}
