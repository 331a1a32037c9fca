// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
import Martlet
import MartletSupport
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
        var bytes = beginning(status)
        bytes.append(headers)
        bytes.append("Content-Length: \(body.count)\r\n")
        if !headers.contains(.xContentTypeOptions) { bytes.append("X-Content-Type-Options: nosniff\r\n") }
        end(&bytes, closes: closes)
        bytes.append("\r\n")
        bytes += body
        return bytes
    }

    /// The head of a stream, and its first blocks.
    ///
    /// - Parameters:
    ///   - isPersonal: Whether the stream is for one client only.
    ///   - start: What the head says about where it starts.
    func stream(isPersonal: Bool, _ start: HTTPFields, _ blocks: [WireBytes]) -> [UInt8] {
        var bytes = beginning(.ok)
        bytes += isPersonal ? Self.personalStreamFields : Self.streamFields
        bytes.append(start)
        // The connection ends with the stream.
        end(&bytes, closes: true)
        bytes.append(isHTTP10 ? "\r\n" : "transfer-encoding: chunked\r\n\r\n")
        for block in blocks { block.framed(as: framing).withUnsafeReadableBytes { bytes.append(contentsOf: $0) } }
        return bytes
    }

    /// The fields that all streams have, written once.
    private static let streamFields = text(of: .eventStream)
    private static let personalStreamFields = text(of: .personalEventStream)

    private static func text(of fields: HTTPFields) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(fields)
        return bytes
    }

    /// The status line.
    private func beginning(_ status: HTTPResponse.Status) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(512)
        bytes.append(isHTTP10 ? "HTTP/1.0 " : "HTTP/1.1 ")
        if status == .ok {
            bytes.append("200 OK\r\n")
        } else {
            // The server says it in its own words, too.
            bytes.append("\(status.code) \(HTTPResponseStatus(statusCode: status.code).reasonPhrase)\r\n" as String)
        }
        return bytes
    }

    /// The fields that all answers end with.
    private func end(_ bytes: inout [UInt8], closes: Bool) {
        bytes.append(extra)
        bytes.append("Date: ")
        DateText.append(to: &bytes)
        bytes.append(closes ? "\r\nconnection: close\r\n" : "\r\n")
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ fields: HTTPFields) {
        for field in fields {
            append(field.name.rawName)
            append(": ")
            field.withUnsafeBytesOfValue { append(contentsOf: $0) }
            append("\r\n")
        }
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
