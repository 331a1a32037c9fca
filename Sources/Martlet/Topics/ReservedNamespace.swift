// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The topics that only the hub itself uses: `/.well-known/mercure`, which is its path in the Mercure protocol, and all
/// below. Publishers cannot publish there, with any protocol and whether or not Mercure is spoken here, so that no publisher
/// can forge what the hub says of its subscriptions.
///
/// A topic is a text, and the hub compares it byte for byte; but a client may take it for a URL. So a topic is reserved when any reader of URLs could come to the hub's path with it: percent-encoding is undone once (`%2F` and
/// `%5C` too), `\` is `/`, dot segments are resolved (WHATWG URL section 4.4, RFC 3986 section 5.2.4), empty segments
/// are dropped, white space around it is dropped, the query and the fragment are cut off, and the scheme and the host
/// do not matter, since a hub has several names and does not know them all.
///
/// A relative path is resolved against the root: `.well-known/mercure` is reserved, and the topics `mercure` and
/// `#general` are not, although the hub's URL would make its own path of them.
package enum ReservedNamespace {
    /// The path of the hub.
    package static let path = "/.well-known/mercure"

    private static let segments = [Array(".well-known".utf8), Array("mercure".utf8)]

    /// Takes time in proportion to the length of the topic.
    package static func contains(_ topic: String) -> Bool {
        guard mayBeReserved(topic) else { return false }
        let bytes = topic.utf8.filter { $0 > 0x20 && $0 != 0x7F }
        let url = bytes.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        let rest = withoutScheme(url)
        let path = withoutAuthority(rest)
        return isReserved(url) || rest.count < url.count && isReserved(rest)
            || path.count < rest.count && isReserved(path)
    }

    /// Looks at the topic without taking it apart: whether it has what no spelling of the path is without, or something
    /// encoded.
    private static func mayBeReserved(_ topic: String) -> Bool {
        var (hasDot, hasHyphen, hasM) = (false, false, false)
        for byte in topic.utf8 {
            switch byte {
            case UInt8(ascii: "%"): return true
            case UInt8(ascii: "."): hasDot = true
            case UInt8(ascii: "-"): hasHyphen = true
            case UInt8(ascii: "m"): hasM = true
            default: break
            }
        }
        return hasDot && hasHyphen && hasM
    }

    /// Whether the path comes through the hub's, also where dot segments lead out of it again: not every client resolves
    /// them, and the subscription topics of selectors such as `../..` have them.
    private static func isReserved(_ path: ArraySlice<UInt8>) -> Bool {
        var resolved: [ArraySlice<UInt8>] = []
        for segment in decoded(path).split(whereSeparator: \.isSlash) {
            if segment.elementsEqual(".".utf8) { continue }
            if segment.elementsEqual("..".utf8) {
                _ = resolved.popLast()
                continue
            }
            resolved.append(segment)
            if resolved.count == segments.count, zip(resolved, segments).allSatisfy({ $0.elementsEqual($1) }) {
                return true
            }
        }
        return false
    }

    /// Undoes percent-encoding once; what is no triplet stays.
    private static func decoded(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var rest = text
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let high = rest.first?.hexDigit, let low = rest.dropFirst().first?.hexDigit {
                bytes.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }

    /// The part behind `scheme:` (RFC 3986 section 3.1), where there is one.
    private static func withoutScheme(_ url: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let scheme = url.prefix { $0.isSchemeCharacter }
        let rest = url[scheme.endIndex...]
        guard scheme.first?.isLetter == true, rest.first == UInt8(ascii: ":") else { return url }
        return rest.dropFirst()
    }

    /// The part behind `//authority`. Browsers read any number of slashes before the host of an http URL.
    private static func withoutAuthority(_ rest: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard rest.prefix(2).count(where: \.isSlash) == 2 else { return rest }
        return rest.drop(while: \.isSlash).drop { !$0.isSlash }
    }
}

extension UInt8 {
    fileprivate var isSlash: Bool { self == UInt8(ascii: "/") || self == UInt8(ascii: "\\") }

    fileprivate var isLetter: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20) }

    fileprivate var isSchemeCharacter: Bool {
        switch Unicode.Scalar(self) {
        case "a"..."z", "A"..."Z", "0"..."9", "+", "-", ".": true
        default: false
        }
    }
}
