// SPDX-License-Identifier: Apache-2.0

/// One request on the way to a stream: of a connect, or of a redirect after it.
struct Request: Sendable, Equatable {
    var target: Target
    var method: String
    var headers: HeaderFields
    var body: [UInt8]?

    /// - Throws: ``EventSourceError`` with the code ``EventSourceError/Code/invalidRequest``.
    init(
        to target: Target, _ configuration: EventSource.Configuration, lastEventID: String, token: String?
    ) throws(EventSourceError) {
        self.target = target
        method = configuration.method
        body = configuration.body
        headers = HeaderFields()
        headers["Accept"] = "text/event-stream"
        headers["Accept-Encoding"] = "identity"
        headers["Cache-Control"] = "no-store"
        for (name, value) in configuration.headers { headers[name] = value }
        headers["Last-Event-ID"] = lastEventID.isEmpty ? nil : lastEventID
        if let token { headers["Authorization"] = "Bearer \(token)" }
        guard HeaderFields.isToken(method) else {
            throw EventSourceError(.invalidRequest, "The method is not a word. Set a method such as GET.")
        }
        if let name = headers.invalidName {
            let name = HeaderFields.isToken(name) ? "\(name) has a control character in it" : "a name is not a word"
            throw EventSourceError(.invalidRequest, "In the headers \(name). Change it.")
        }
    }

    /// Where a redirect leads, as in the Fetch standard.
    func redirected(to target: Target, status: Int) -> Request {
        var next = self
        next.target = target
        if status == 303 && method != "HEAD" || status <= 302 && method == "POST" {
            next.method = "GET"
            next.body = nil
            next.headers.remove(["Content-Type", "Content-Encoding", "Content-Language", "Content-Location"])
        }
        if !target.hasSameOrigin(as: self.target) {
            next.headers.remove(["Authorization", "Cookie", "Proxy-Authorization", "Host"])
        }
        return next
    }
}
