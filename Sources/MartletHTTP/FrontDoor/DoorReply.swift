// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
import Martlet
import NIOCore
import NIOHTTP1
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Makes the bytes of answers, with the fields that the server adds to its own.
package struct DoorReply: Sendable {
    /// The fields of the middleware.
    let extra: HTTPFields
    /// Whether the connection ends with the answer.
    let closes: Bool
    let isHTTP10: Bool

    var framing: Framing { isHTTP10 ? .plain : .chunked }

    /// A whole answer.
    package func bytes(_ status: HTTPResponse.Status, _ headers: HTTPFields, _ body: some Collection<UInt8>) -> [UInt8]
    {
        var bytes = head(status, headers, length: body.count, closes: closes)
        bytes += "\r\n".utf8
        bytes += body
        return bytes
    }

    /// The head of a stream, and its first blocks.
    func stream(_ headers: HTTPFields, _ blocks: [WireBytes]) -> [UInt8] {
        // The connection ends with the stream.
        var bytes = head(.ok, headers, length: nil, closes: true)
        if !isHTTP10 { bytes += "transfer-encoding: chunked\r\n".utf8 }
        bytes += "\r\n".utf8
        for block in blocks { block.framed(as: framing).withUnsafeReadableBytes { bytes.append(contentsOf: $0) } }
        return bytes
    }

    /// All but the empty line.
    ///
    /// - Parameter length: That of the body; `nil` for a stream, whose fields are complete.
    private func head(
        _ status: HTTPResponse.Status, _ headers: HTTPFields, length: Int?, closes: Bool
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(512)
        bytes += isHTTP10 ? "HTTP/1.0 ".utf8 : "HTTP/1.1 ".utf8
        if status == .ok {
            bytes += "200 OK\r\n".utf8
        } else {
            // The server says it in its own words, too.
            bytes += "\(status.code) \(HTTPResponseStatus(statusCode: status.code).reasonPhrase)\r\n".utf8
        }
        var isGuarded = length == nil
        for field in headers {
            bytes.append(field)
            if field.name == .xContentTypeOptions { isGuarded = true }
        }
        if let length { bytes += "Content-Length: \(length)\r\n".utf8 }
        if !isGuarded { bytes += "X-Content-Type-Options: nosniff\r\n".utf8 }
        for field in extra { bytes.append(field) }
        bytes += "Date: ".utf8
        DateText.append(to: &bytes)
        bytes += "\r\n".utf8
        if closes { bytes += "connection: close\r\n".utf8 }
        return bytes
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ field: HTTPField) {
        self += field.name.rawName.utf8
        self += ": ".utf8
        self += field.value.utf8
        self += "\r\n".utf8
    }
}

/// The time of now for `Date`, made once for each second.
private enum DateText {
    private static let last = Mutex<(second: Int, text: [UInt8])>((0, []))
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    static func append(to bytes: inout [UInt8]) {
        let now = time(nil)
        let text = last.withLock { last in
            if last.second != now { last = (now, make(now)) }
            return last.text
        }
        bytes += text
    }

    /// The form of RFC 9110 section 5.6.7.
    private static func make(_ second: Int) -> [UInt8] {
        var (time, parts) = (time_t(second), tm())
        gmtime_r(&time, &parts)
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(1900 + parts.tm_year)"
        let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        return Array("\(days[Int(parts.tm_wday)]), \(date) \(clock) GMT".utf8)
    }
}
