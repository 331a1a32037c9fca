// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// The addresses that proxies have written into a header, from right to left: the last proxy wrote the first of them.
///
/// The header is read no further than it is asked for, and from its end, so that what a client has written on the left cannot
/// disturb what a proxy has written on the right. An element is `nil` where it names no address.
struct ForwardedChain: Sequence, IteratorProtocol {
    /// The lines of the header, of which the last is read first.
    private var values: [String]
    private var rest: Substring?
    /// Whether it is `Forwarded`, and not `X-Forwarded-For`.
    private let isStandard: Bool

    typealias Element = IPAddress?

    init(_ values: [String], isStandard: Bool) {
        self.values = values
        self.isStandard = isStandard
    }

    mutating func next() -> IPAddress?? {
        while let element = nextElement() {
            let element = element.trimmingBlanks
            // Elements of a list may be empty (RFC 9110 section 5.6.1.2).
            if element.isEmpty { continue }
            return .some(
                isStandard ? Self.address(inElement: element) : Self.address(of: element, needsBrackets: false))
        }
        return nil
    }

    /// The text behind the last comma that is not in quotes.
    private mutating func nextElement() -> Substring? {
        guard let text = rest ?? values.popLast().map({ $0[...] }) else { return nil }
        var isQuoted = false
        var index = text.utf8.endIndex
        while index > text.utf8.startIndex {
            index = text.utf8.index(before: index)
            switch text.utf8[index] {
            case UInt8(ascii: "\"") where isStandard && !Self.isEscaped(index, text): isQuoted.toggle()
            case UInt8(ascii: ",") where !isQuoted:
                rest = text[..<index]
                return text[text.utf8.index(after: index)...]
            default: break
            }
        }
        rest = nil
        return text
    }

    private static func isEscaped(_ index: String.Index, _ text: Substring) -> Bool {
        text.utf8[..<index].reversed().prefix { $0 == UInt8(ascii: "\\") }.count % 2 == 1
    }

    // MARK: An element

    /// The value of `for` in an element of `Forwarded` (RFC 7239 section 4).
    private static func address(inElement element: Substring) -> IPAddress? {
        var found: IPAddress?
        var names: [Substring] = []
        var rest = element
        while !rest.isEmpty {
            rest = rest.trimmingBlanks
            if rest.utf8.first == UInt8(ascii: ";") {
                rest = Substring(rest.utf8.dropFirst())
                continue
            }
            guard let (name, value) = cutPair(from: &rest), !names.contains(where: name.isExactlyIgnoringCase) else {
                return nil
            }
            names.append(name)
            guard name.isExactlyIgnoringCase("for") else { continue }
            found = address(of: value, needsBrackets: true)
            guard found != nil else { return nil }
        }
        return found
    }

    /// Takes a name and its value, which is a token or a string in quotes, with what is between them and the next pair. No
    /// address has escapes in it, so they stay.
    private static func cutPair(from rest: inout Substring) -> (name: Substring, value: Substring)? {
        guard let (name, behind) = rest.cutExactly(at: UInt8(ascii: "=")), name.utf8.isHTTPToken else { return nil }
        let value: Substring
        if behind.utf8.first == UInt8(ascii: "\"") {
            let text = Substring(behind.utf8.dropFirst())
            let end = text.utf8.indices.first { text.utf8[$0] == UInt8(ascii: "\"") && !isEscaped($0, text) }
            guard let end else { return nil }
            value = text[..<end]
            rest = text[text.utf8.index(after: end)...]
        } else {
            value = Substring(behind.utf8.prefix { $0 != UInt8(ascii: ";") }).trimmingBlanks
            guard value.utf8.isHTTPToken else { return nil }
            rest = behind[value.endIndex...]
        }
        rest = rest.trimmingBlanks
        return rest.isEmpty || rest.utf8.first == UInt8(ascii: ";") ? (name, value) : nil
    }

    /// An address, perhaps with a port: `192.0.2.1:80`, `[2001:db8::1]:80`.
    ///
    /// - Parameter needsBrackets: Whether an address of IPv6 must be in brackets.
    private static func address(of text: Substring, needsBrackets: Bool) -> IPAddress? {
        let colons = text.utf8.count { $0 == UInt8(ascii: ":") }
        if colons < 2 {
            guard let (host, port) = text.cutExactly(at: UInt8(ascii: ":")) else { return IPAddress(text) }
            return isPort(port) ? IPAddress(host) : nil
        }
        guard text.utf8.first == UInt8(ascii: "[") else { return needsBrackets ? nil : IPAddress(text) }
        guard let (host, port) = Substring(text.utf8.dropFirst()).cutExactly(at: UInt8(ascii: "]")),
            host.containsExactly(UInt8(ascii: ":"))
        else { return nil }
        guard port.isEmpty || (port.utf8.first == UInt8(ascii: ":") && isPort(Substring(port.utf8.dropFirst()))) else {
            return nil
        }
        return IPAddress(host)
    }

    private static func isPort(_ text: Substring) -> Bool {
        (1...5).contains(text.utf8.count) && text.utf8.allSatisfy(\.isDigit)
    }
}
