// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// What an application says of its hub: the value of a `Link` header (RFC 8288 section 3; draft-dunglas-mercure-07,
/// section "Discovery").
///
///     <https://example.com/.well-known/mercure>; rel="mercure"; last-event-id="7"
struct DiscoveryLink: Hashable, Sendable {
    /// The value of the header.
    let value: String

    /// - Parameters:
    ///   - hub: The URL of the hub, which may be relative.
    ///   - lastEventID: The last event that the page already shows.
    ///   - contentType: What the data of updates is, where that is not what the page is.
    ///   - keySet: The keys that decrypt updates, as a JWKS.
    /// - Throws: ``MercureProblem`` of status 500, since none of it is the client's, that names what cannot be in a
    ///   header: a URL with other characters than RFC 3986 allows, or an attribute that is not printable ASCII.
    init(
        hub: String, lastEventID: String? = nil, contentType: String? = nil, keySet: String? = nil
    ) throws(MercureProblem) {
        var value = "<\(try Self.checkedURL(hub, "hub"))>; rel=\"mercure\""
        for (name, text) in [("last-event-id", lastEventID), ("content-type", contentType), ("key-set", keySet)] {
            if let text { value += "; \(name)=\(try Self.quoted(text, name))" }
        }
        self.value = value
    }

    /// Names the canonical topic of a page, where that is not its URL.
    init(canonicalTopic topic: String) throws(MercureProblem) {
        value = "<\(try Self.checkedURL(topic, "self"))>; rel=\"self\""
    }

    private static func checkedURL(_ url: String, _ field: String) throws(MercureProblem) -> String {
        guard !url.isEmpty, url.utf8.allSatisfy(\.isURLCharacter) else {
            let message = "The URL is empty or has a character that no URL has. Percent-encode it."
            throw MercureProblem(500, message, field: field)
        }
        return url
    }

    /// A `quoted-string` of RFC 9110 section 5.6.4.
    private static func quoted(_ text: String, _ field: String) throws(MercureProblem) -> String {
        guard text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw MercureProblem(500, "The \(field) is not printable ASCII. Leave it out.", field: field)
        }
        let escaped = text.utf8.flatMap { byte -> [UInt8] in
            byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") ? [UInt8(ascii: "\\"), byte] : [byte]
        }
        return "\"" + String(decoding: escaped, as: UTF8.self) + "\""
    }
}

extension UInt8 {
    fileprivate var isURLCharacter: Bool {
        isUnreserved || ":/?#[]@!$&'()*+,;=%".utf8.contains(self)
    }
}
