// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
import Martlet
import MartletSupport
package import NIOCore

/// The proxies that are believed when they name the address of a client. What anyone else says of addresses changes nothing.
///
///     let proxies = try TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "unix"])
///     let server = HTTPServerBuilder.eventStreams(of: hub, proxies: proxies)
///
/// The address is that of the header `Forwarded` (RFC 7239), or otherwise of `X-Forwarded-For`: the rightmost that is not
/// itself a trusted proxy, since everything to the left of it can be the invention of a client. If both are there and name
/// different clients, one of them comes from a client, and the address of the proxy counts. It also counts if a header is
/// malformed or names no address (`unknown`, `_hidden`).
public struct TrustedProxies: Hashable, Sendable {
    private let networks: [IPNetwork]
    private let trustsUnix: Bool
    /// Whether each connection from one of them has to begin with a header of the PROXY protocol (version 1 or 2).
    public var sendProxyHeader: Bool

    /// No proxy is trusted.
    public static let none = TrustedProxies()

    private init() {
        networks = []
        trustsUnix = false
        sendProxyHeader = false
    }

    /// - Parameters:
    ///   - places: Networks such as `10.0.0.0/8` and `2001:db8::/32`, addresses, or `unix` for the other end of a Unix domain
    ///     socket.
    ///   - sendProxyHeader: See ``sendProxyHeader``.
    /// - Throws: ``PlaceError`` that names the text that is none of these.
    public init(_ places: [String], sendProxyHeader: Bool = false) throws(PlaceError) {
        var networks: [IPNetwork] = []
        for place in places where !place.isExactly(Self.unix) {
            guard let network = IPNetwork(place) else { throw PlaceError(place: place) }
            networks.append(network)
        }
        self.networks = networks
        trustsUnix = places.contains { $0.isExactly(Self.unix) }
        self.sendProxyHeader = sendProxyHeader
    }

    private static let unix = "unix"

    /// A text that is neither a network, an address nor `unix`.
    public struct PlaceError: Error, Hashable, CustomStringConvertible {
        public let place: String

        public var description: String {
            "\(place.debugDescription) is no network. Write 10.0.0.0/8, 2001:db8::/32, 192.0.2.1 or unix, and no bits behind the "
                + "prefix."
        }
    }

    package var isEmpty: Bool { networks.isEmpty && !trustsUnix }

    /// As they were written.
    package var places: [String] { networks.map(\.text) + (trustsUnix ? [Self.unix] : []) }

    /// Whether the other end of a connection is a trusted proxy.
    package func contains(_ peer: SocketAddress?) -> Bool {
        guard !isEmpty, let peer else { return false }
        guard let address = IPAddress(peer) else { return trustsUnix }
        return contains(address)
    }

    private func contains(_ address: IPAddress) -> Bool { networks.contains { $0.contains(address) } }

    /// The address of the client that sends a request.
    ///
    /// - Parameter peer: The other end of the connection.
    package func client(of headers: HTTPFields, behind peer: SocketAddress?) -> SocketAddress? {
        guard contains(peer) else { return peer }
        let chains = [(HTTPField.Name.forwarded, true), (.forwardedFor, false)].compactMap {
            name, isStandard -> IPAddress?? in
            let values = headers[values: name]
            return values.isEmpty ? nil : client(in: ForwardedChain(values, isStandard: isStandard))
        }
        guard let found = chains.first, let client = found, chains.allSatisfy({ $0 == found }) else { return peer }
        return client.socketAddress()
    }

    /// The most proxies in a row.
    static let mostHops = 32

    /// The rightmost address that is not trusted, or otherwise the leftmost. Not `nil` itself, but perhaps the value in it:
    /// the chain names no client.
    private func client(in chain: ForwardedChain) -> IPAddress?? {
        var last: IPAddress?
        for (hop, address) in chain.enumerated() {
            guard hop < Self.mostHops, let address else { return .some(nil) }
            last = address
            if !contains(address) { break }
        }
        return .some(last)
    }
}

extension HTTPField.Name {
    static let forwarded = HTTPField.Name("Forwarded")!
}
