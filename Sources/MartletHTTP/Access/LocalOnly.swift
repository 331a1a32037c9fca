// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import Hummingbird
import MartletSupport
import NIOCore

/// Tells programs on this machine from all others, without credentials.
///
/// A web page from anywhere can make the browser send requests to this machine. The page cannot hide its `Origin`, and a
/// name that was pointed at this machine to get around that (DNS rebinding) shows in `Host`.
enum LocalOnly {
    /// Throws 403 if `Host` names another machine. A request without one passes: it is HTTP/1.0, and browsers always send
    /// `Host`. A name without a dot, such as that of a container, passes too: it is in no public DNS, so no site has one.
    ///
    /// - Parameter advice: How to serve other names, as a sentence.
    static func checkHost(_ authority: String?, advice: String) throws(Problem) {
        guard let authority, !isPlainlyLocal(authority) else { return }
        if let host = HostAndPort(authority)?.host,
            Loopback.contains(host) || !host.utf8.contains(where: Self.isInAddress)
        {
            return
        }
        throw Problem(
            .forbidden,
            "Only localhost and addresses such as 127.0.0.1 are served, and this Host is another. \(advice)",
            field: "Host")
    }

    /// Whether it is this machine, written as almost always: the quick answer for almost all requests.
    static func isPlainlyLocal(_ authority: String) -> Bool {
        guard let rest = authority.cutting(prefix: "localhost") ?? authority.cutting(prefix: "127.0.0.1") else {
            return false
        }
        guard let colon = rest.utf8.first else { return true }
        guard colon == UInt8(ascii: ":") else { return false }
        // Ports of five digits may be too high.
        let port = rest.utf8.dropFirst().reduce(0) { $1.isDigit && $0 <= 65_535 ? $0 * 10 + Int($1 - 0x30) : .max }
        return port <= 65_535
    }

    /// A dot or a colon: a name without them is a single label, and no address.
    private static func isInAddress(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":") }

    /// Throws 403 if a publish may come from elsewhere. A proxy on this machine that does not name its client looks like a
    /// local program, so it must not pass on publishes.
    static func checkPublish(_ request: HubRequest) throws(Problem) {
        guard let peer = request.remoteAddress, Loopback.contains(peer) else {
            throw Problem(.forbidden, "Only programs on this machine may publish.")
        }
        let proxied = [HTTPField.Name.forwarded, .forwardedFor, .realIP, .via].first { request.headers.contains($0) }
        if let proxied {
            throw Problem(.forbidden, "Publishing through a proxy is not possible here.", field: proxied.rawName)
        }
        guard let authority = request.authority else {
            throw Problem(.forbidden, "Name this machine in Host: localhost or 127.0.0.1.", field: "Host")
        }
        guard isPlainlyLocal(authority) || HostAndPort(authority).map({ Loopback.contains($0.host) }) == true else {
            throw Problem(
                .forbidden, "Only localhost and addresses such as 127.0.0.1 are published to here.", field: "Host")
        }
        if let origin = request.headers[.origin], !origin.isExactlyIgnoringCase("http://\(authority)") {
            throw Problem(.forbidden, "A page of another origin may not publish here.", field: "Origin")
        }
    }
}

/// Answers only requests that name this machine in `Host`, so that no page reads through a name that was pointed at this
/// machine (DNS rebinding). For routes without access control, on a server that listens on loopback.
package struct LocalHostMiddleware<Context: RequestContext>: RouterMiddleware {
    private let advice: String

    /// - Parameter advice: How to serve other names, as a sentence.
    package init(advice: String) { self.advice = advice }

    package func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        try LocalOnly.checkHost(request.head.authority, advice: advice)
        return try await next(request, context)
    }
}

extension HTTPField.Name {
    package static let forwardedFor = HTTPField.Name("X-Forwarded-For")!
    fileprivate static let realIP = HTTPField.Name("X-Real-IP")!
}
