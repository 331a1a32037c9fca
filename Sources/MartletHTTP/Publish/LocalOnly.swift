// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import NIOCore

/// Tells programs on this machine from everybody else, without asking anybody who he is.
///
/// A web page from anywhere can make the browser send requests to this machine. It cannot hide its `Origin`, and a name
/// that was pointed at this machine to get around that (DNS rebinding) shows in `Host`.
enum LocalOnly {
    /// Throws 403 where the request may come from elsewhere.
    static func check(_ request: Request, from channel: any Channel) throws(Problem) {
        guard let peer = channel.remoteAddress, peer.isLoopback else {
            throw Problem(.forbidden, "Only programs on this machine may publish.")
        }
        guard let authority = request.head.authority, isLoopback(host(of: authority)) else {
            throw Problem(
                .forbidden, "Publish to localhost or 127.0.0.1; this Host header names another machine.", field: "Host")
        }
        if let origin = request.headers[.origin], origin.lowercased() != "http://\(authority.lowercased())" {
            throw Problem(.forbidden, "A page of another origin may not publish here.", field: "Origin")
        }
    }

    /// Whether a host name or address means this machine and nothing else.
    static func isLoopback(_ host: Substring) -> Bool {
        if host.lowercased() == "localhost" { return true }
        guard let address = try? SocketAddress(ipAddress: String(host), port: 0) else { return false }
        return address.isLoopback
    }

    /// The host of `host`, `host:port` or `[address]:port`.
    private static func host(of authority: String) -> Substring {
        if authority.first == "[" { return authority.dropFirst().prefix { $0 != "]" } }
        return authority.prefix { $0 != ":" }
    }
}

extension SocketAddress {
    fileprivate var isLoopback: Bool {
        switch self {
        case .v4: ipAddress?.hasPrefix("127.") == true
        case .v6: ipAddress == "::1" || ipAddress?.hasPrefix("::ffff:127.") == true
        case .unixDomainSocket: true
        }
    }
}
