// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletSupport
import NIOHTTP1

extension HTTPRequestHead {
    var isHTTP10: Bool { version.major < 1 || (version.major == 1 && version.minor == 0) }

    /// Checks `Host`, and brings a target that is a URL into the usual form (RFC 9112 section 3.2): the authority of the URL
    /// replaces `Host`, and its path and query become the target.
    ///
    /// - Throws: ``Problem`` of status 400 that names the part at fault.
    mutating func settleTarget() throws(Problem) {
        let hosts = headers["host"]
        guard hosts.count == 1 || (hosts.isEmpty && isHTTP10) else {
            throw Problem(.badRequest, "The request needs one Host header, and only one.", field: "Host")
        }
        guard hosts.allSatisfy({ HostAndPort($0.trimmingBlanks) != nil }) else {
            throw Problem(
                .badRequest, "The Host is not a host with or without a port. Write it like example.com:8080.",
                field: "Host")
        }
        if uri.utf8.first != UInt8(ascii: "/"), !uri.isExactly("*"), method != .CONNECT { try takeAuthority() }
    }

    private mutating func takeAuthority() throws(Problem) {
        guard let scheme = ["http://", "https://"].first(where: uri.startsIgnoringCase(with:)) else {
            throw Problem(.badRequest, "The target is neither a path nor an http URL.", field: "target")
        }
        let rest = uri[uri.utf8.index(uri.startIndex, offsetBy: scheme.utf8.count)...]
        let end = rest.utf8.firstIndex { "/?#".utf8.contains($0) } ?? rest.endIndex
        guard HostAndPort(rest[..<end]) != nil else {
            throw Problem(
                .badRequest, "The URL of the target has no host, or more than a host and a port. Leave out the rest.",
                field: "target")
        }
        headers.replaceOrAdd(name: "host", value: String(rest[..<end]))
        let path = rest[end...]
        uri = (path.utf8.first == UInt8(ascii: "/") ? "" : "/") + path
    }
}

extension String {
    fileprivate func startsIgnoringCase(with prefix: String) -> Bool {
        utf8.prefix(prefix.utf8.count).lazy.map(\.asciiLowercased).elementsEqual(prefix.utf8)
    }
}
