// SPDX-License-Identifier: Apache-2.0

public import HTTPTypes
package import Logging
package import Martlet
import MartletSupport
public import NIOCore

/// The head of a request to a hub, parsed once. Routes, access rules and tickets read this value, so each part of a
/// request means the same to all of them. It does not depend on the server that received the request.
///
/// Nothing is normalised or repaired. A malformed query is an error of ``query`` and not of the initializer, because a
/// request is first judged by its credentials.
public struct HubRequest: Sendable {
    public let method: HTTPRequest.Method
    /// The path of the target as the client wrote it: not decoded, and with its empty segments.
    public let path: Substring
    /// The host and port in `Host` or `:authority`. Only HTTP/1.0 clients may leave it out.
    public let authority: String?
    public let headers: HTTPFields
    /// The address of the client: the other end of the connection, or what a trusted proxy there says (``TrustedProxies``).
    /// `nil` if it is not known.
    public let remoteAddress: SocketAddress?
    /// The place of the connection among those of its address.
    package var connectionPlace: ClientPlace?
    /// The query as the client wrote it, without its `?`.
    private let queryText: Substring
    /// The fields of the query. What cannot be decoded is as the client wrote it.
    private let fields: FormFields

    /// - Parameter target: The request target in origin form (RFC 9112 section 3.2.1): a path and perhaps a query.
    public init(
        method: HTTPRequest.Method = .get, target: String, authority: String? = nil, headers: HTTPFields = [:],
        remoteAddress: SocketAddress? = nil
    ) {
        self.method = method
        self.authority = authority
        self.headers = headers
        self.remoteAddress = remoteAddress
        (path, queryText) = target.cutExactly(at: UInt8(ascii: "?")) ?? (target[...], "")
        fields = FormFields(lenient: queryText.utf8)
    }

    /// The parameters of the query.
    ///
    /// - Throws: ``Problem`` of status 400 that names the parameter that is not encoded well.
    public var query: FormFields {
        get throws(Problem) {
            if let problem = fields.problem { throw problem }
            return fields
        }
    }

    /// The target without the parameters of these names. The others stay as the client wrote them.
    package func target(without names: [String]) -> String {
        let pairs = zip(fields.all, FormFields.pairs(of: queryText.utf8))
            .filter { field, _ in !names.contains { $0.isExactly(field.name) } }
            .map { String(Substring($1)) }
        return pairs.isEmpty ? String(path) : "\(path)?\(pairs.joined(separator: "&"))"
    }
}

// MARK: - Credentials

extension HubRequest {
    /// The query parameter that holds a token, as in the Mercure protocol.
    package static let tokenParameter = "authorization"

    /// The values of ``tokenParameter``, also in a query that is malformed elsewhere.
    package var queryTokens: [String] { fields.values(Self.tokenParameter) }

    /// Whether the request has a ticket, which is used up when it is judged.
    package var hasTicket: Bool { !fields.values("ticket").isEmpty }

    /// Whether the stream is to have a name under which it can be changed.
    var hasControl: Bool { !fields.values("control").isEmpty }

    /// Whether the request may carry credentials. (The grant tells whether it carries a ticket.)
    var hasCredentials: Bool {
        headers.contains(.authorization) || headers.contains(.cookie) || !queryTokens.isEmpty
    }

    /// The first value of a cookie that is not empty, without quotes around it (RFC 6265 section 5.4). Of cookies of the
    /// same name, browsers send the one with the longest path first.
    public func cookie(_ name: String) -> String? {
        for pair in headers[values: .cookie].lazy.flatMap({ $0.splitExactly(at: UInt8(ascii: ";")) }) {
            guard let (found, text) = pair.cutExactly(at: UInt8(ascii: "=")), found.trimmingBlanks.isExactly(name)
            else { continue }
            let value = text.trimmingBlanks.withoutQuotes
            if !value.isEmpty { return String(value) }
        }
        return nil
    }

    /// The origin of the page that sends a request: the header `Origin`, or otherwise the origin of `Referer`. `nil` if
    /// neither names one.
    package var sourceOrigin: String? {
        headers[.origin] ?? headers[.referer].flatMap(Self.origin(ofURL:))
    }

    /// The scheme and the host of a URL; `nil` if it has none, or names a user.
    private static func origin(ofURL url: String) -> String? {
        guard let (scheme, rest) = url.cutExactly(at: UInt8(ascii: ":")), rest.startsExactly(with: "//") else {
            return nil
        }
        let authority = rest.utf8.dropFirst(2).prefix { !"/\\?#".utf8.contains($0) }
        guard !authority.isEmpty, !authority.contains(UInt8(ascii: "@")) else { return nil }
        return "\(scheme)://\(Substring(authority))"
    }
}

extension Substring {
    fileprivate var withoutQuotes: Substring {
        let quote = UInt8(ascii: "\"")
        guard utf8.count >= 2, utf8.first == quote, utf8.last == quote else { return self }
        return self[utf8.index(after: startIndex)..<utf8.index(before: endIndex)]
    }
}

// MARK: - Publishing

extension HTTPField.Name {
    package static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
    static let streamWriter = HTTPField.Name("Stream-Writer")!
    fileprivate static let traceParent = HTTPField.Name("traceparent")!
}

extension HubRequest {
    /// The media type of the body, in lower case and without parameters; `nil` if there is no `Content-Type`.
    package var mediaType: String? {
        headers[.contentType].map { type in
            Substring(type.utf8.prefix { $0 != UInt8(ascii: ";") && !$0.isBlank }).asciiLowercased
        }
    }

    /// The idempotency key of a publish (draft-ietf-httpapi-idempotency-key-header): bare, as most clients send it, or a
    /// string in quotes (RFC 9651 section 3.3.3), as the draft has it. `nil` if there is none.
    ///
    /// - Throws: ``Problem`` of status 400 if there are several keys, or if a key begins with a quote and is no such
    ///   string. The hub checks the length of the key.
    package var idempotencyKey: String? {
        get throws(Problem) {
            let value = try text(of: .idempotencyKey)
            guard let value, value.unicodeScalars.first == "\"" else { return value }
            guard let key = Self.content(of: value) else {
                throw .badKey("The Idempotency-Key begins with a quote and is no string. Close it, or send it bare.")
            }
            return key
        }
    }

    /// The trace that the request is part of (W3C Trace Context). `nil` if the header is missing, malformed or there twice:
    /// then the standard says to ignore it.
    package var traceParent: TraceParent? {
        let values = headers[values: .traceParent]
        return values.count == 1 ? TraceParent(values[0]) : nil
    }

    /// A logger whose lines name the trace of the request, if it is part of one.
    package func tracing(_ logger: Logger) -> Logger {
        guard let traceParent else { return logger }
        var logger = logger
        logger[metadataKey: "trace_id"] = "\(traceParent.traceID)"
        return logger
    }

    /// Who writes to the topic: `Stream-Writer: name; epoch=3`. `nil` if it is not said.
    ///
    /// - Throws: ``Problem`` of status 400 if the header has another form, or is there twice.
    var streamWriter: TopicWriter? {
        get throws(Problem) {
            guard let value = try text(of: .streamWriter) else { return nil }
            guard let (name, parameter) = value.cutExactly(at: UInt8(ascii: ";")),
                let (epochName, epoch) = parameter.trimmingBlanks.cutExactly(at: UInt8(ascii: "=")),
                epochName.isExactly("epoch"), epoch.utf8.allSatisfy(\.isDigit), let epoch = UInt64(epoch)
            else {
                throw Problem(
                    .badRequest, "The Stream-Writer is not a name and an epoch. Write Stream-Writer: name; epoch=3.",
                    field: HTTPField.Name.streamWriter.rawName)
            }
            return TopicWriter(String(name.trimmingBlanks), epoch: epoch)
        }
    }

    /// The value of a field that is there once; `nil` if it is not there.
    ///
    /// - Throws: ``Problem`` of status 400 if it is there several times, or if it is not UTF-8. The server has replaced
    ///   such bytes with U+FFFD, so that two different values could look the same.
    func text(of name: HTTPField.Name) throws(Problem) -> String? {
        let values = headers[values: name]
        guard values.count <= 1 else {
            throw Problem(.badRequest, "There is more than one \(name.rawName). Send one.", field: name.rawName)
        }
        guard let value = values.first else { return nil }
        guard value.utf8.firstRange(of: "\u{FFFD}".utf8) == nil else {
            throw Problem(
                .badRequest, "The \(name.rawName) is not UTF-8. Encode it as UTF-8, or send ASCII.",
                field: name.rawName)
        }
        return value
    }

    /// The text between the quotes of a structured string; `nil` if the text is none.
    private static func content(of string: String) -> String? {
        var content = String.UnicodeScalarView()
        var rest = string.unicodeScalars.dropFirst()
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\"": return rest.isEmpty ? String(content) : nil
            case "\\":
                guard let escaped = rest.popFirst(), escaped == "\"" || escaped == "\\" else { return nil }
                content.append(escaped)
            default: content.append(scalar)
            }
        }
        return nil
    }
}

extension Problem {
    fileprivate static func badKey(_ detail: String) -> Problem {
        Problem(.badRequest, detail, field: HTTPField.Name.idempotencyKey.rawName)
    }
}
