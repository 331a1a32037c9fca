// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
public import Martlet
import MartletSupport

/// Announces the hub to the clients of an application, with a `Link` header on the answers to GET and HEAD
/// (draft-dunglas-mercure-07, section "Discovery").
///
///     router.group("books").add(middleware: try MercureDiscoveryMiddleware { request, _ in request.uri.path })
public struct MercureDiscoveryMiddleware<Context: RequestContext>: RouterMiddleware {
    private let url: String
    private let contentType: String?
    private let keySet: String?
    private let hub: Hub?
    private let topic: @Sendable (Request, Context) -> String?

    /// - Parameters:
    ///   - url: The URL of the hub; it may be relative.
    ///   - contentType: The media type of the data of updates, if it differs from that of the page.
    ///   - keySet: The keys that decrypt updates, as a JWKS.
    ///   - hub: If it is set, the header also has the id of the last event before the page was made. A client that subscribes
    ///     with this id misses nothing.
    ///   - topic: Returns the topic of a page, if it differs from its URL.
    /// - Throws: An error that names the text that cannot be in a header.
    public init(
        url: String = "/.well-known/mercure",
        contentType: String? = nil,
        keySet: String? = nil,
        resumingFrom hub: Hub? = nil,
        topic: @escaping @Sendable (Request, Context) -> String? = { _, _ in nil }
    ) throws {
        self.url = url
        self.contentType = contentType
        self.keySet = keySet
        self.hub = hub
        self.topic = topic
        _ = try link()
    }

    private func link() throws -> String {
        try DiscoveryLink(hub: url, lastEventID: hub?.end.text, contentType: contentType, keySet: keySet).value
    }

    /// Adds the header to the answer of the next responder.
    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard request.method == .get || request.method == .head else { return try await next(request, context) }
        var links = [try link()]
        if let topic = topic(request, context) { links.append(try DiscoveryLink(canonicalTopic: topic).value) }
        var response = try await next(request, context)
        for link in links { response.headers.append(HTTPField(name: .link, value: link)) }
        return response
    }
}

extension HTTPField.Name {
    fileprivate static let link = HTTPField.Name("Link")!
}

/// The link of a page to its hub: the value of a `Link` header (RFC 8288 section 3; draft-dunglas-mercure-07,
/// section "Discovery").
///
///     <https://example.com/.well-known/mercure>; rel="mercure"; last-event-id="7"
struct DiscoveryLink: Hashable, Sendable {
    /// The value of the header.
    let value: String

    /// - Parameters:
    ///   - hub: The URL of the hub, which may be relative.
    ///   - lastEventID: The last event that the page already shows.
    ///   - contentType: The media type of the data of updates, if it differs from that of the page.
    ///   - keySet: The keys that decrypt updates, as a JWKS.
    /// - Throws: ``MercureProblem`` of status 500 (the client cannot be at fault) that names the text that cannot be in a
    ///   header: a URL with characters that RFC 3986 does not allow, or an attribute that is not printable ASCII.
    init(
        hub: String, lastEventID: String? = nil, contentType: String? = nil, keySet: String? = nil
    ) throws(MercureProblem) {
        var value = "<\(try Self.checkedURL(hub, "hub"))>; rel=\"mercure\""
        for (name, text) in [("last-event-id", lastEventID), ("content-type", contentType), ("key-set", keySet)] {
            if let text { value += "; \(name)=\(try Self.quoted(text, name))" }
        }
        self.value = value
    }

    /// Links to the canonical topic of a page, if it differs from its URL.
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
