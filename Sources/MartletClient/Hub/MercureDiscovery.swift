// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MartletOutgoing
import NIOHTTP1

/// What a resource says of its Mercure hub: ``HubClient/discover(from:headers:timeout:clock:)``.
public struct MercureDiscovery: Hashable, Sendable {
    /// The URLs of the hubs, in the order of the response; at least one. Each has all events.
    public let hubURLs: [String]
    /// The topic to subscribe to for changes of the resource.
    public let topic: String
    /// The id of the last event that the resource already contains, to resume from; `""` if the server does not say.
    public let lastEventID: String
}

extension HubClient {
    /// Asks a resource for its Mercure hub.
    ///
    ///     let book = try await HubClient.discover(from: "https://example.com/books/1")
    ///     let hub = HubClient(mercure: book.hubURLs[0]) { try await tokens.current() }
    ///     for try await update in hub.subscribe(to: book.topic, lastEventID: book.lastEventID) { … }
    ///
    /// The resource can name a hub on any origin, so think about which hubs may receive your token. Up to 20 redirects
    /// are followed. The body of the resource is not read.
    ///
    /// - Parameters:
    ///   - resource: An `http` or `https` URL.
    ///   - headers: Headers of the request. `Authorization` and `Cookie` are only sent to the origin of the URL.
    ///   - timeout: How long to wait for each response.
    ///   - clock: Measures the timeout.
    /// - Throws: ``HubError``, with the code ``HubError/Code/noHub`` if the response has no link of the relation `mercure`
    ///   (RFC 8288) to an `http` or `https` URL; or `CancellationError`.
    public static func discover(
        from resource: String, headers: [String: String] = [:], timeout: Duration = .seconds(30),
        clock: any Clock<Duration> = ContinuousClock()
    ) async throws -> MercureDiscovery {
        var request = Request(to: try OutgoingURL(hub: resource))
        request.headers.set(headers)
        let exchange = HubExchange(timeout: timeout, clock: clock)
        while true {
            let (head, links) = try await exchange.response(to: request) { ($0, $1.headers["Link"]) }
            guard head.isRedirect else {
                guard head.isSuccess else { throw HubError(head) }
                return try MercureDiscovery(of: request.target, links: links.flatMap(WebLink.all))
            }
            do { request = try request.redirected(by: head, maximum: maximumRedirects) } catch {
                throw HubError(error)
            }
        }
    }

    private static let maximumRedirects = 20
}

extension MercureDiscovery {
    /// - Throws: ``HubError`` with the code ``HubError/Code/noHub``.
    init(of resource: OutgoingURL, links: [WebLink]) throws(HubError) {
        // A link with another anchor is about another resource.
        let links = links.filter { link in link["anchor"].map { (try? resource.resolving($0)) == resource } ?? true }
        let hubs = links.filter { $0.has(relation: "mercure") }.compactMap { link in
            (try? resource.resolving(link.url)).map { (url: $0.text, lastEventID: link["last-event-id"]) }
        }
        guard let first = hubs.first else {
            throw HubError(
                .noHub,
                "The resource has no Link header with rel=\"mercure\" and an http or https URL. Check its server.")
        }
        hubURLs = hubs.map(\.url)
        lastEventID = first.lastEventID ?? ""
        topic = links.first { $0.has(relation: "self") }.flatMap { try? resource.naming($0.url) } ?? resource.text
    }
}
