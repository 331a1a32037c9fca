// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A request that a front door may answer: a GET, or a POST with a length, of HTTP/1.1 or a GET of HTTP/1.0, that is written
/// as clients usually write it (RFC 9112).
///
/// The parser takes nothing that another parser could read otherwise. Everything unusual is ``Reading/other``: the server
/// reads it again from its first byte, and says what is wrong with it, if anything is.
struct PlainRequest {
    enum Reading {
        /// The beginning of a request that may be plain.
        case incomplete
        case other
        /// A request in the first bytes, so many of them.
        case complete(PlainRequest, length: Int)
    }

    let method: HTTPRequest.Method
    /// A path and perhaps a query.
    let target: String
    /// The value of `Host`, which is there once.
    let authority: String
    /// The other fields.
    let headers: HTTPFields
    let body: UnsafeRawBufferPointer
    /// Whether the connection ends with the answer.
    let closes: Bool
    let isHTTP10: Bool

    /// The most bytes of a head.
    static let headBytes = 16 * 1024
    /// The most fields.
    static let fieldCount = 64

    /// - Parameter prefixes: How the targets begin that may be plain.
    static func read(_ bytes: UnsafeRawBufferPointer, prefixes: [StaticString]) -> Reading {
        var scanner = Scanner(bytes)
        do {
            return try scanner.request(prefixes)
        } catch {
            switch error {
            case .incomplete: return bytes.count < headBytes || scanner.isInBody ? .incomplete : .other
            case .other: return .other
            }
        }
    }
}

private enum Stop: Error {
    case incomplete
    case other
}

/// What a byte may be part of.
private struct ByteClasses {
    static let target: UInt8 = 1
    static let name: UInt8 = 2
    static let value: UInt8 = 4

    static let all: [UInt8] = (0...255).map { (byte: UInt8) in
        var classes: UInt8 = 0
        if byte.isUnreserved || "/?:@!$&'()*+,;=%".utf8.contains(byte) { classes |= target }
        if byte.isHTTPTokenCharacter { classes |= name }
        if (0x20...0x7E).contains(byte) { classes |= value }
        return classes
    }
}

private struct Scanner {
    private let bytes: UnsafeRawBufferPointer
    private var next = 0
    private(set) var isInBody = false

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func request(_ prefixes: [StaticString]) throws(Stop) -> PlainRequest.Reading {
        let isPost = bytes.first == UInt8(ascii: "P")
        try take(isPost ? "POST " : "GET ")
        let start = next
        try check(prefixes)
        skip(ByteClasses.target)
        let target = start..<next
        try take(" HTTP/1.")
        // The server reads the body of a live upload while it comes.
        if isPost, isLive(target) { throw .other }
        let minor = try byte()
        let isHTTP10 = minor == UInt8(ascii: "0")
        guard minor == UInt8(ascii: "1") || (isHTTP10 && !isPost) else { throw .other }
        try take("\r\n")
        var fields = Fields()
        while try !isAtEnd() { try field(&fields) }
        guard next <= PlainRequest.headBytes, let host = fields.host else { throw .other }
        guard LocalOnly.isPlainlyLocal(host) || HostAndPort(host) != nil else { throw .other }
        if isPost {
            guard let length = fields.length, !fields.closes else { throw .other }
            guard length <= 1 << 20 else { throw .other }
            isInBody = true
            guard length <= bytes.count - next else { throw .incomplete }
        } else if fields.length != nil {
            throw .other
        }
        let body = UnsafeRawBufferPointer(rebasing: bytes[next..<next + (fields.length ?? 0)])
        let request = PlainRequest(
            method: isPost ? .post : .get, target: text(from: target.lowerBound, to: target.upperBound),
            authority: host, headers: fields.others, body: body,
            closes: isHTTP10 || fields.closes, isHTTP10: isHTTP10)
        return .complete(request, length: next + body.count)
    }

    /// The target begins with one of these, and goes on with a segment, a query, or nothing.
    private func check(_ prefixes: [StaticString]) throws(Stop) {
        let rest = bytes.count - next
        var isIncomplete = false
        for prefix in prefixes {
            let count = prefix.utf8CodeUnitCount
            guard memcmp(bytes.baseAddress! + next, prefix.utf8Start, min(count, rest)) == 0 else { continue }
            guard rest > count else {
                isIncomplete = true
                continue
            }
            let byte = bytes[next + count]
            if byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: " ") { return }
        }
        throw isIncomplete ? .incomplete : .other
    }

    /// Whether the query of a target has a parameter `live`. One that is encoded is not found; the server answers it, too, but
    /// begins with the end of the body.
    private func isLive(_ target: Range<Int>) -> Bool {
        guard var place = bytes[target].firstIndex(of: UInt8(ascii: "?")) else { return false }
        while place < target.upperBound {
            let name = place + 1..<min(place + 5, target.upperBound)
            if isName(name, "live") {
                let end = name.upperBound
                if end == target.upperBound || bytes[end] == UInt8(ascii: "=") || bytes[end] == UInt8(ascii: "&") {
                    return true
                }
            }
            place = bytes[place + 1..<target.upperBound].firstIndex(of: UInt8(ascii: "&")) ?? target.upperBound
        }
        return false
    }

    private mutating func take(_ text: StaticString) throws(Stop) {
        let count = text.utf8CodeUnitCount
        let there = min(count, bytes.count - next)
        guard there == 0 || memcmp(bytes.baseAddress! + next, text.utf8Start, there) == 0 else { throw .other }
        guard there == count else { throw .incomplete }
        next += count
    }

    private mutating func byte() throws(Stop) -> UInt8 {
        guard next < bytes.count else { throw .incomplete }
        defer { next += 1 }
        return bytes[next]
    }

    private mutating func skip(_ classes: UInt8) {
        ByteClasses.all.withUnsafeBufferPointer { all in
            while next < bytes.count, all[Int(bytes[next])] & classes != 0 { next += 1 }
        }
    }

    /// Takes the empty line, if it is there.
    private mutating func isAtEnd() throws(Stop) -> Bool {
        guard next < bytes.count else { throw .incomplete }
        guard bytes[next] == UInt8(ascii: "\r") else { return false }
        try take("\r\n")
        return true
    }

    private struct Fields {
        var host: String?
        var length: Int?
        var closes = false
        var others = HTTPFields()

        mutating func add(_ name: HTTPField.Name, _ value: String) {
            if others.isEmpty { others.reserveCapacity(8) }
            // Setting it is specialised here, and appending is not.
            if name == .cookie || others.contains(name) {
                others.append(HTTPField(name: name, value: value))
            } else {
                others[name] = value
            }
        }
    }

    private mutating func field(_ fields: inout Fields) throws(Stop) {
        let start = next
        skip(ByteClasses.name)
        let name = start..<next
        guard try byte() == UInt8(ascii: ":"), !name.isEmpty else { throw .other }
        while next < bytes.count, bytes[next] == UInt8(ascii: " ") { next += 1 }
        let valueStart = next
        skip(ByteClasses.value)
        var valueEnd = next
        try take("\r\n")
        while valueEnd > valueStart, bytes[valueEnd - 1] == UInt8(ascii: " ") { valueEnd -= 1 }
        let value = valueStart..<valueEnd
        switch name.count {
        case 4 where isName(name, "host"):
            guard fields.host == nil else { throw .other }
            fields.host = text(from: value.lowerBound, to: value.upperBound)
            return
        case 14 where isName(name, "content-length"):
            guard fields.length == nil, (1...7).contains(value.count), bytes[value].allSatisfy(\.isDigit) else {
                throw .other
            }
            fields.length = bytes[value].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        case 10 where isName(name, "connection"):
            guard !fields.others.contains(.connection) else { throw .other }
            fields.closes = isName(value, "close")
            guard fields.closes || isName(value, "keep-alive") else { throw .other }
        case 6 where isName(name, "expect"), 7 where isName(name, "upgrade"), 16 where isName(name, "proxy-connection"),
            17 where isName(name, "transfer-encoding"):
            throw .other
        default: break
        }
        guard fields.others.count < PlainRequest.fieldCount, let name = fieldName(name) else { throw .other }
        fields.add(name, text(from: value.lowerBound, to: value.upperBound))
    }

    /// The names of most fields are there already.
    private func fieldName(_ range: Range<Int>) -> HTTPField.Name? {
        switch range.count {
        case 6 where isName(range, "accept"): .accept
        case 6 where isName(range, "cookie"): .cookie
        case 10 where isName(range, "user-agent"): .userAgent
        case 12 where isName(range, "content-type"): .contentType
        case 13 where isName(range, "cache-control"): .cacheControl
        case 13 where isName(range, "authorization"): .authorization
        case 13 where isName(range, "last-event-id"): .lastEventID
        case 14 where isName(range, "content-length"): .contentLength
        case 15 where isName(range, "accept-encoding"): .acceptEncoding
        case 15 where isName(range, "accept-language"): .acceptLanguage
        default: HTTPField.Name(text(from: range.lowerBound, to: range.upperBound))
        }
    }

    /// - Parameter text: In lower case.
    private func isName(_ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<range.count {
            let byte = bytes[range.lowerBound + index]
            let lower = (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
            if lower != text.utf8Start[index] { return false }
        }
        return true
    }

    private func text(from start: Int, to end: Int) -> String { String(decoding: bytes[start..<end], as: UTF8.self) }
}
