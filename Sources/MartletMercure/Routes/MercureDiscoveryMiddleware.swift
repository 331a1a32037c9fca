// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
public import Martlet

/// Tells the clients of an application's pages where their hub is, with a `Link` header on the answers to GET and HEAD
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
    ///   - url: Where the hub is; may be relative.
    ///   - contentType: What the data of updates is, where that is not what the page is.
    ///   - keySet: The keys that decrypt updates, as a JWKS.
    ///   - hub: Not `nil`: also says which event was the last before the page was made, so that who subscribes with it
    ///     misses nothing.
    ///   - topic: The topic of a page, where that is not its URL.
    /// - Throws: an error that says which of the texts cannot be in a header.
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
