// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// A link of a `Link` header: RFC 8288, section 3.
struct WebLink: Equatable {
    /// As it is written; may be relative.
    let url: String
    /// Names are in lower case. Of several with the same name, the first counts.
    private(set) var parameters: [(name: String, value: String)] = []

    static func == (a: Self, b: Self) -> Bool {
        a.url.isExactly(b.url)
            && a.parameters.elementsEqual(b.parameters) { $0.name.isExactly($1.name) && $0.value.isExactly($1.value) }
    }

    subscript(name: String) -> String? { parameters.first { $0.name.isExactly(name) }?.value }

    /// Whether `rel`, which has one or more words, contains this one. It must be in lower case.
    func has(relation: String) -> Bool {
        self["rel"]?.utf8.split(whereSeparator: \.isBlank).contains { Substring($0).isExactlyIgnoringCase(relation) }
            ?? false
    }

    /// The links of one header, parsed as in appendix B.2: up to the first that does not begin with `<`.
    static func all(in header: String) -> [WebLink] {
        var rest = Array(header.utf8)[...]
        var links: [WebLink] = []
        while true {
            rest.skip(while: { $0.isBlank || $0 == UInt8(ascii: ",") })
            guard rest.popFirst() == UInt8(ascii: "<"), let end = rest.firstIndex(of: UInt8(ascii: ">")) else {
                return links
            }
            var link = WebLink(url: String(decoding: rest[..<end], as: UTF8.self))
            rest = rest[(end + 1)...]
            while let parameter = parameter(&rest) {
                if !parameter.name.isEmpty { link.parameters.append(parameter) }
            }
            rest.skip { $0 != UInt8(ascii: ",") }
            links.append(link)
        }
    }

    private init(url: String) { self.url = url }

    /// The next parameter; `nil` if there are no more.
    private static func parameter(_ rest: inout ArraySlice<UInt8>) -> (name: String, value: String)? {
        rest.skip(while: \.isBlank)
        guard rest.first == UInt8(ascii: ";") else { return nil }
        rest.removeFirst()
        rest.skip(while: \.isBlank)
        let name = rest.take { !$0.isBlank && !"=;,".utf8.contains($0) }.asciiLowercased
        rest.skip(while: \.isBlank)
        guard rest.first == UInt8(ascii: "=") else { return (name, "") }
        rest.removeFirst()
        rest.skip(while: \.isBlank)
        guard rest.first == UInt8(ascii: "\"") else {
            return (name, rest.take { !$0.isBlank && !";,".utf8.contains($0) })
        }
        rest.removeFirst()
        return (name, quoted(&rest))
    }

    /// The rest of a `quoted-string` (RFC 9110, section 5.6.4). Without a closing quote it extends to the end.
    private static func quoted(_ rest: inout ArraySlice<UInt8>) -> String {
        var text: [UInt8] = []
        while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
            if byte == UInt8(ascii: "\\") {
                if let escaped = rest.popFirst() { text.append(escaped) }
            } else {
                text.append(byte)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}

extension ArraySlice<UInt8> {
    fileprivate mutating func skip(while condition: (UInt8) -> Bool) {
        self = drop(while: condition)
    }

    fileprivate mutating func take(while condition: (UInt8) -> Bool) -> String {
        let text = prefix(while: condition)
        self = self[text.endIndex...]
        return String(decoding: text, as: UTF8.self)
    }
}
