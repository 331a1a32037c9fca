// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing
import MartletSupport

/// One request, or what a redirect made of it.
struct Request: Sendable, Equatable {
    var target: OutgoingURL
    var method: String
    var headers: HeaderFields
    var body: [UInt8]?
    /// How many redirects led here.
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
        // What Fetch makes of the cache mode of event sources, `no-store`.
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
            throw EventSourceError(.invalidRequest, "The method \(method) has no stream to give. Use GET or POST.")
        }
        if let name = headers.invalidName {
            let name = name.utf8.isHTTPToken ? "\(name) has a control character in it" : "a name is not a word"
            throw EventSourceError(.invalidRequest, "In the headers \(name). Change it.")
        }
    }

    /// Where a redirect leads, as in the Fetch standard.
    ///
    /// - Throws: ``EventSourceError`` with the code ``EventSourceError/Code/invalidRedirect`` or
    ///   ``EventSourceError/Code/tooManyRedirects``.
    func redirected(by answer: Answer, maximum: Int) throws(EventSourceError) -> Request {
        guard let target = answer.location.flatMap({ try? target.resolving($0) }) else {
            throw EventSourceError(
                .invalidRedirect, status: answer.status,
                "A redirect does not lead to an http or https URL without a user. Check the server.")
        }
        guard redirects < maximum else {
            throw EventSourceError(
                .tooManyRedirects, status: answer.status,
                "There are more than \(maximum) redirects. Check the server for a circle.")
        }
        var next = self
        next.redirects += 1
        if answer.status == 303 && !method.isExactly("HEAD") || answer.status <= 302 && method.isExactly("POST") {
            next.method = "GET"
            next.dropBody()
        }
        next.move(to: target)
        return next
    }

    /// The same where redirects have led an earlier request, as it was asked there (WHATWG HTML, section 9.2.3: a
    /// source connects again to the current URL of its request).
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
