// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Where a request goes: the parts of an `http` URL.
struct HTTPTarget: Equatable, Sendable {
    let url: String
    /// A name or an address, an IPv6 one without brackets.
    let host: String
    let port: Int
    /// The value of the `Host` field.
    let authority: String
    /// The path and query as they stand in the request line.
    let requestTarget: String

    /// - Returns: nil if `url` is not an absolute `http` URL, or names a user.
    init?(_ url: String) {
        guard let parts = URLComponents(string: url), parts.scheme?.lowercased() == "http", parts.user == nil,
            let encodedHost = parts.encodedHost, !encodedHost.isEmpty
        else { return nil }
        let port = parts.port ?? 80
        guard (1...65_535).contains(port) else { return nil }
        self.url = url
        self.port = port
        host = encodedHost.filter { !"[]".contains($0) }
        authority = parts.port == nil ? encodedHost : "\(encodedHost):\(port)"
        let path = parts.percentEncodedPath.isEmpty ? "/" : parts.percentEncodedPath
        requestTarget = parts.percentEncodedQuery.map { "\(path)?\($0)" } ?? path
    }
}
