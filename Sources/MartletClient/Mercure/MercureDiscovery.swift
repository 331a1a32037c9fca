// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing

/// What a resource says of its hub: ``MercureHub/discover(from:headers:timeout:clock:)``.
public struct MercureDiscovery: Hashable, Sendable {
    /// Where the hubs are, in the order in which the server names them; at least one. Any of them will do.
    public let hubURLs: [String]
    /// The topic to subscribe to for changes of the resource.
    public let topic: String
    /// The last update that the resource already has in it, to begin after; `""` if the server does not say.
    public let lastEventID: String
}

extension MercureHub {
    /// Asks a resource for its hub.
    ///
    ///     let book = try await MercureHub.discover(from: "https://example.com/books/1")
    ///     let hub = MercureHub(book.hubURLs[0]) { try await tokens.current() }
    ///     for try await update in hub.subscribe(to: book.topic, lastEventID: book.lastEventID) { … }
    ///
    /// The hub is who the resource says, on any origin: consider whose token it is given. Redirects are followed, 20 at
    /// most. The body of the resource is not read.
    ///
    /// - Parameters:
    ///   - resource: An `http` or `https` URL.
    ///   - headers: Headers of the request. `Authorization` and `Cookie` go to the origin of the URL only.
    ///   - timeout: How long to wait for each answer.
    ///   - clock: What that is measured with.
    /// - Throws: ``MercureError``, with the code ``MercureError/Code/noHub`` if the answer has no link of the relation
    ///   `mercure` (RFC 8288) to an `http` or `https` URL; or `CancellationError`.
    public static func discover(
        from resource: String, headers: [String: String] = [:], timeout: Duration = defaultTimeout,
        clock: any Clock<Duration> = ContinuousClock()
    ) async throws -> MercureDiscovery {
        var request = Request(to: try MercureError.checking(resource))
        request.headers.set(headers)
        let exchange = MercureExchange(within: timeout, clock: clock)
        while true {
            let (answer, links) = try await exchange.answer(to: request) { ($0, $1.header("Link")) }
            guard answer.isRedirect else {
                guard (200...299).contains(answer.status) else { throw MercureError(answer) }
                return try MercureDiscovery(of: request.target, links: links.flatMap(WebLink.all))
            }
            do { request = try request.redirected(by: answer, maximum: maximumRedirects) } catch {
                throw MercureError(error)
            }
        }
    }

    private static let maximumRedirects = 20
}

extension MercureDiscovery {
    /// - Throws: ``MercureError`` with the code ``MercureError/Code/noHub``.
    init(of resource: OutgoingURL, links: [WebLink]) throws(MercureError) {
        // A link with another anchor says something of another resource.
        let links = links.filter { link in link["anchor"].map { (try? resource.resolving($0)) == resource } ?? true }
        let hubs = links.filter { $0.has(relation: "mercure") }.compactMap { link in
            (try? resource.resolving(link.url)).map { (url: $0.text, lastEventID: link["last-event-id"]) }
        }
        guard let first = hubs.first else {
            throw MercureError(
                .noHub,
                "The resource has no Link header with rel=\"mercure\" and an http or https URL. Check its server.")
        }
        hubURLs = hubs.map(\.url)
        lastEventID = first.lastEventID ?? ""
        topic = links.first { $0.has(relation: "self") }.flatMap { try? resource.naming($0.url) } ?? resource.text
    }
}
