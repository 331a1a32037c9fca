// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import NIOCore

/// Tells programs on this machine from everybody else, without asking anybody who he is.
///
/// A web page from anywhere can make the browser send requests to this machine. It cannot hide its `Origin`, and a name
/// that was pointed at this machine to get around that (DNS rebinding) shows in `Host`.
enum LocalOnly {
    /// Throws 403 where the request may come from elsewhere. A proxy on this machine that does not say for whom it asks
    /// cannot be told from a program here; it must not pass on what publishes.
    static func check(_ request: Request, from channel: any Channel) throws(Problem) {
        guard let peer = channel.remoteAddress, peer.isLoopback else {
            throw Problem(.forbidden, "Only programs on this machine may publish.")
        }
        let proxied = [HTTPField.Name.forwarded, .forwardedFor, .realIP, .via].first { request.headers.contains($0) }
        if let proxied {
            throw Problem(.forbidden, "Publishing through a proxy is not possible here.", field: proxied.rawName)
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

    /// The host of `host`, `host:port` or `[address]:port`; empty for anything else.
    private static func host(of authority: String) -> Substring {
        let isBracketed = authority.first == "["
        let host = isBracketed ? authority.dropFirst().prefix { $0 != "]" } : authority.prefix { $0 != ":" }
        let rest = authority[host.endIndex...].dropFirst(isBracketed ? 1 : 0)
        let isPort = rest.isEmpty || (rest.first == ":" && rest.dropFirst().allSatisfy { "0123456789".contains($0) })
        return isPort ? host : ""
    }
}

extension HTTPField.Name {
    fileprivate static let forwarded = HTTPField.Name("Forwarded")!
    fileprivate static let forwardedFor = HTTPField.Name("X-Forwarded-For")!
    fileprivate static let realIP = HTTPField.Name("X-Real-IP")!
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
