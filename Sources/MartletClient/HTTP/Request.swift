// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MartletOutgoing
import MartletSupport
import NIOCore
import NIOHTTP1

/// One HTTP request. A redirect makes another one of it.
struct Request: Sendable, Equatable {
    var target: OutgoingURL
    var method: String
    var headers: HeaderFields
    var body: [UInt8]?
    /// The number of redirects that led here.
    private(set) var redirects = 0

    init(to target: OutgoingURL, method: String = "GET", headers: HeaderFields = HeaderFields(), body: [UInt8]? = nil) {
        self.target = target
        self.method = method
        self.headers = headers
        self.body = body
    }

    /// The request of an event source.
    ///
    /// - Throws: ``EventSourceError`` with the code ``EventSourceError/Code/invalidRequest``.
    init(
        to target: OutgoingURL, _ configuration: EventSource.Configuration, lastEventID: String, token: String?
    ) throws(EventSourceError) {
        self.init(to: target, method: configuration.method, body: configuration.body)
        headers["Accept"] = "text/event-stream"
        headers["Accept-Encoding"] = "identity"
        // The cache mode of event sources is `no-store`, for which Fetch sends this field.
        headers["Cache-Control"] = "no-cache"
        headers.set(configuration.headers)
        headers["Last-Event-ID"] = lastEventID.isEmpty ? nil : lastEventID
        headers.setBearer(token)
        try check()
    }

    /// - Throws: ``EventSourceError`` with the code ``EventSourceError/Code/invalidRequest``.
    func check() throws(EventSourceError) {
        guard method.utf8.isHTTPToken else {
            throw EventSourceError(.invalidRequest, "The method is not a word. Set a method such as GET.")
        }
        guard !method.isExactly("CONNECT"), !method.isExactly("TRACE") else {
            throw EventSourceError(.invalidRequest, "The method \(method) cannot return a stream. Use GET or POST.")
        }
        if let name = headers.invalidName {
            let fault =
                name.utf8.isHTTPToken
                ? "The value of the header \(name) has a control character." : "The name of a header is not a word."
            throw EventSourceError(.invalidRequest, "\(fault) Change it.")
        }
    }

    /// The request that a redirect asks for, by the rules of the Fetch standard.
    ///
    /// - Throws: ``EventSourceError`` with the code ``EventSourceError/Code/invalidRedirect`` or
    ///   ``EventSourceError/Code/tooManyRedirects``.
    func redirected(by head: ResponseHead, maximum: Int) throws(EventSourceError) -> Request {
        guard let target = head.location.flatMap({ try? target.resolving($0) }) else {
            throw EventSourceError(
                .invalidRedirect, status: head.status,
                "A redirect does not lead to an http or https URL without a user. Check the server.")
        }
        guard redirects < maximum else {
            throw EventSourceError(
                .tooManyRedirects, status: head.status,
                "There are more than \(maximum) redirects. Check the server for a loop.")
        }
        var next = self
        next.redirects += 1
        if head.status == 303 && !method.isExactly("HEAD") || head.status <= 302 && method.isExactly("POST") {
            next.method = "GET"
            next.dropBody()
        }
        next.move(to: target)
        return next
    }

    /// This request, sent to where redirects led an earlier one, with the method of the last redirect (WHATWG HTML,
    /// section 9.2.3: a source reconnects to the current URL of its request).
    func continuing(_ earlier: Request) -> Request {
        var next = self
        next.method = earlier.method
        if !earlier.method.isExactly(method) || earlier.body == nil && body != nil { next.dropBody() }
        next.move(to: earlier.target)
        return next
    }

    private mutating func dropBody() {
        body = nil
        headers.remove(["Content-Type", "Content-Encoding", "Content-Language", "Content-Location"])
    }

    /// Credentials stay with their origin.
    private mutating func move(to target: OutgoingURL) {
        if !target.hasSameOrigin(as: self.target) {
            headers.remove(["Authorization", "Cookie", "Proxy-Authorization", "Host"])
        }
        self.target = target
    }
}

/// The headers of a request. Names are compared without regard to case.
struct HeaderFields: Sendable, Equatable {
    private(set) var fields: [(name: String, value: String)] = []

    static func == (a: Self, b: Self) -> Bool {
        a.fields.elementsEqual(b.fields) { $0.name.isExactly($1.name) && $0.value.isExactly($1.value) }
    }

    subscript(name: String) -> String? {
        get { fields.first { $0.name.isExactlyIgnoringCase(name) }?.value }
        set {
            remove([name])
            if let newValue { fields.append((name, newValue)) }
        }
    }

    mutating func set(_ headers: [String: String]) {
        for (name, value) in headers { self[name] = value }
    }

    /// Sets `Authorization`; `nil` changes nothing.
    mutating func setBearer(_ token: String?) {
        if let token { self["Authorization"] = "Bearer \(token)" }
    }

    mutating func remove(_ names: [String]) {
        fields.removeAll { field in names.contains { $0.isExactlyIgnoringCase(field.name) } }
    }

    /// The name of a header that HTTP does not allow.
    var invalidName: String? {
        fields.first { !$0.name.utf8.isHTTPToken || !$0.value.utf8.isHTTPFieldValue }?.name
    }
}

extension HTTPClientRequest {
    init(_ request: Request) {
        self.init(to: request.target)
        method = HTTPMethod(rawValue: request.method)
        headers = HTTPHeaders(request.headers.fields)
        if let body = request.body { self.body = .bytes(ByteBuffer(bytes: body)) }
    }
}
