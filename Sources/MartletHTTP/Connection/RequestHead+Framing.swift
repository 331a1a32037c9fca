// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletSupport
import NIOHTTP1

/// What a request says of its own framing and of its connection (RFC 9112, sections 6 and 9).
extension HTTPRequestHead {
    enum UpgradeOffer {
        case none
        /// NIO's decoder stops behind the request.
        case made
        /// NIO's decoder may stop behind the request, or not.
        case unclear
    }

    /// Refuses CONNECT. What follows it would not be HTTP.
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

    /// Refuses transfer codings but `chunked`: with 501 where it is the last of several, and the end of the body is known.
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

    /// - Throws: ``Problem`` of status 417 where the client expects anything but to be asked for the body.
    func checkExpectation() throws(Problem) {
        guard !isHTTP10, !tokens(of: "expect").allSatisfy({ $0.isExactlyIgnoringCase("100-continue") }) else { return }
        throw Problem(.expectationFailed, "The only expectation that is met here is 100-continue.", field: "Expect")
    }

    /// How long the body is; `nil` where its chunks say so.
    var bodyLength: Int? {
        if headers.contains(name: "transfer-encoding") { return nil }
        guard let length = headers.first(name: "content-length") else { return 0 }
        // The decoder has seen that it is a number.
        return Int(length) ?? .max
    }

    /// Whether the client sends the body when it is asked for it (RFC 9110, section 10.1.1).
    var waitsToBeAsked: Bool { !isHTTP10 && !tokens(of: "expect").isEmpty }

    /// Whether the answer is the last on its connection.
    var isLast: Bool { isHTTP10 || tokens(of: "connection").contains { $0.isExactlyIgnoringCase("close") } }

    /// Whether it offers to go on with another protocol, such as HTTP/2 without TLS. A server may ignore that (RFC 9110,
    /// section 7.8), which NIO's decoder does not know.
    var upgradeOffer: UpgradeOffer {
        guard headers.contains(name: "upgrade") else { return .none }
        // The decoder takes the second for another name of the first.
        let names = ["connection", "proxy-connection"]
        let values = names.flatMap { headers[$0] }
        guard values.contains(where: { $0.asciiLowercased.utf8.firstRange(of: "upgrade".utf8) != nil }) else {
            return .none
        }
        // The decoder and `tokens` do not agree about tabs, nor, perhaps, about an offer of nothing.
        guard !values.contains(where: { $0.containsExactly(UInt8(ascii: "\t")) }),
            !headers["upgrade"].contains(where: \.isEmpty)
        else { return .unclear }
        return names.flatMap(tokens).contains { $0.isExactlyIgnoringCase("upgrade") } ? .made : .unclear
    }

    /// The parts of a field's values between commas, without spaces.
    private func tokens(of field: String) -> [Substring] {
        headers[field].flatMap { $0.splitExactly(at: UInt8(ascii: ",")) }.map(\.trimmingBlanks).filter { !$0.isEmpty }
    }
}
