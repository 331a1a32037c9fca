// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The parameters of a request's target, as the client wrote them.
struct QueryParameters {
    /// What is before the query.
    let path: Substring
    /// The name decoded, and the text of the pair.
    private let pairs: [(name: String, text: Substring)]

    /// - Parameter target: RFC 9112 section 3.2.
    init(target: String) {
        let (path, query) = target.cutExactly(at: UInt8(ascii: "?")) ?? (target[...], "")
        self.path = path
        pairs = query.splitExactly(at: UInt8(ascii: "&")).filter { !$0.isEmpty }.map { pair in
            (Self.decode(Self.cut(pair).name), pair)
        }
    }

    /// The values of a parameter, decoded as a form is (WHATWG URL, section 5.1).
    func values(of name: String) -> [String] {
        pairs.filter { $0.name.isExactly(name) }.map { Self.decode(Self.cut($0.text).value) }
    }

    /// The target without the parameters of these names.
    func target(without names: [String]) -> String {
        let rest = pairs.filter { pair in !names.contains { $0.isExactly(pair.name) } }.map(\.text)
        return rest.isEmpty ? String(path) : "\(path)?\(rest.joined(separator: "&"))"
    }

    private static func cut(_ pair: Substring) -> (name: Substring, value: Substring) {
        pair.cutExactly(at: UInt8(ascii: "=")).map { ($0.before, $0.behind) } ?? (pair, "")
    }

    /// What is no escape, or not UTF-8, is left as it is.
    private static func decode(_ text: Substring) -> String {
        text.utf8.percentDecoded(plusIsSpace: true).flatMap { String(validating: $0, as: UTF8.self) } ?? String(text)
    }
}
