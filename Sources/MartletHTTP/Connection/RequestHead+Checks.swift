// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletSupport
import NIOHTTP1

/// The framing of a request, and the end of its connection (RFC 9112, sections 6 and 9).
extension HTTPRequestHead {
    enum UpgradeOffer {
        case none
        /// The decoder of NIO stops behind the request.
        case made
        /// It depends on details whether the decoder of NIO stops behind the request.
        case unclear
    }

    /// Refuses CONNECT. The bytes behind it would not be HTTP.
    ///
    /// - Throws: ``Problem`` of status 501.
    func checkMethod() throws(Problem) {
        guard method != .CONNECT else { throw Problem(.notImplemented, "This server is no proxy. Leave CONNECT out.") }
    }

    /// - Throws: ``Problem`` of status 414 or 431.
    func checkSize() throws(Problem) {
        guard uri.utf8.count <= ConnectionBounds.targetBytes else { throw .targetTooLong }
        let bytes = headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        guard bytes <= ConnectionBounds.fieldBytes else { throw .fieldsTooLarge }
    }

    /// Refuses transfer codings other than `chunked`: with 501 if `chunked` is the last of several, so that the body has an
    /// end.
    ///
    /// - Throws: ``Problem`` of status 400 or 501.
    func checkTransferCoding() throws(Problem) {
        guard headers.contains(name: "transfer-encoding") else { return }
        let codings = tokens(of: "transfer-encoding")
        let field = "Transfer-Encoding"
        guard !isHTTP10 else {
            throw Problem(.badRequest, "HTTP/1.0 has no transfer codings. Send Content-Length.", field: field)
        }
        guard codings.last?.isExactlyIgnoringCase("chunked") == true else {
            throw Problem(.badRequest, "The last transfer coding of a request must be chunked.", field: field)
        }
        guard codings.count == 1 else {
            throw Problem(
                .notImplemented, "The only transfer coding here is chunked. Leave the others out.", field: field)
        }
    }

    /// - Throws: ``Problem`` of status 417 for an expectation other than `100-continue`.
    func checkExpectation() throws(Problem) {
        guard !isHTTP10, !tokens(of: "expect").allSatisfy({ $0.isExactlyIgnoringCase("100-continue") }) else { return }
        throw Problem(.expectationFailed, "The only expectation that is met here is 100-continue.", field: "Expect")
    }

    /// The length of the body; `nil` if its chunks tell it.
    var bodyLength: Int? {
        if headers.contains(name: "transfer-encoding") { return nil }
        guard let length = headers.first(name: "content-length") else { return 0 }
        // The decoder has checked that it is a number.
        return Int(length) ?? .max
    }

    /// Whether the client waits to be asked for the body (RFC 9110, section 10.1.1).
    var waitsToBeAsked: Bool { !isHTTP10 && !tokens(of: "expect").isEmpty }

    /// Whether the answer is the last on its connection.
    var isLast: Bool { isHTTP10 || tokens(of: "connection").contains { $0.isExactlyIgnoringCase("close") } }

    /// Whether the request offers another protocol, such as HTTP/2 without TLS. A server may ignore the offer (RFC 9110,
    /// section 7.8), but the decoder of NIO does not.
    var upgradeOffer: UpgradeOffer {
        guard headers.contains(name: "upgrade") else { return .none }
        // The decoder treats the second as another name of the first.
        let names = ["connection", "proxy-connection"]
        let values = names.flatMap { headers[$0] }
        guard values.contains(where: { $0.asciiLowercased.utf8.firstRange(of: "upgrade".utf8) != nil }) else {
            return .none
        }
        // The decoder and `tokens` treat tabs differently, and perhaps an empty offer.
        guard !values.contains(where: { $0.containsExactly(UInt8(ascii: "\t")) }),
            !headers["upgrade"].contains(where: \.isEmpty)
        else { return .unclear }
        return names.flatMap(tokens).contains { $0.isExactlyIgnoringCase("upgrade") } ? .made : .unclear
    }

    /// The parts of the values of a field between commas, without spaces.
    private func tokens(of field: String) -> [Substring] {
        headers[field].flatMap { $0.splitExactly(at: UInt8(ascii: ",")) }.map(\.trimmingBlanks).filter { !$0.isEmpty }
    }
}

extension HTTPRequestHead {
    var isHTTP10: Bool { version.major < 1 || (version.major == 1 && version.minor == 0) }

    /// Checks `Host`, and replaces a target in absolute form (RFC 9112 section 3.2.2): the authority of the URL replaces
    /// `Host`, and its path and query become the target.
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
