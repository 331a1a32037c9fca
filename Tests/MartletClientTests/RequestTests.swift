// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing
import MartletTesting
import TestSupport
import Testing

@testable import MartletClient

@Suite struct RequestTests {
    private var random = SeededGenerator(seed: 1)

    private func sent(_ step: ConnectionStateMachine.Step) -> Request? {
        if case .send(let request) = step { request } else { nil }
    }

    private static let credentials = ["Cookie", "Proxy-Authorization", "Host"]
    private static let aboutBody = ["Content-Type", "Content-Encoding", "Content-Language", "Content-Location"]

    private func redirected(
        by status: Int = 307, to location: String, from url: String = "https://a/x/events", method: String = "GET"
    ) throws -> Request? {
        var configuration = EventSource.Configuration()
        configuration.method = method
        configuration.body = [1]
        configuration.headers = ["authorization": "A", "X-Own": "O"]
        for name in Self.credentials { configuration.headers[name] = "C" }
        for name in Self.aboutBody { configuration.headers[name] = "B" }
        var random = random
        var connection = try ConnectionStateMachine(to: url, configuration, lastEventID: "7")
        _ = try connection.connect(token: nil)
        return try sent(connection.answered(ResponseHead(status: status, location: location), using: &random))
    }

    @Test(
        "Credentials stay with their origin",
        arguments: [
            ("/y", "https://a/y", true), ("y", "https://a/x/y", true), ("https://A:443/y", "https://A:443/y", true),
            ("HTTPS://a/y", "HTTPS://a/y", true),
            ("?q=1", "https://a/x/events?q=1", true), ("//b/y", "https://b/y", false),
            ("http://a/y", "http://a/y", false),
            ("https://a:444/y", "https://a:444/y", false), ("https://a.b/y", "https://a.b/y", false),
        ])
    func credentials(location: String, url: String, stay: Bool) throws {
        let request = try #require(try redirected(to: location))
        #expect(request.target.text == url)
        #expect(request.headers["Authorization"] == (stay ? "A" : nil))
        for name in Self.credentials { #expect(request.headers[name] == (stay ? "C" : nil)) }
        #expect(request.headers["X-Own"] == "O")
        #expect(request.headers["Last-Event-ID"] == "7")
    }

    @Test("Credentials do not return with a redirect back, but with the next connect")
    mutating func credentialsReturn() throws {
        var connection = try ConnectionStateMachine(to: "http://a/", .init(), lastEventID: "")
        #expect(try sent(connection.connect(token: "t"))?.headers["Authorization"] == "Bearer t")
        for location in ["http://b/", "http://a/"] {
            let step = try connection.answered(ResponseHead(status: 302, location: location), using: &random)
            #expect(sent(step)?.headers["Authorization"] == nil)
        }
        #expect(try sent(connection.connect(token: "u"))?.headers["Authorization"] == "Bearer u")
    }

    /// A connection after redirects led to a stream and the stream ended.
    private mutating func moved(
        by status: Int, to location: String, method: String = "GET"
    ) throws -> ConnectionStateMachine {
        let configuration = EventSource.Configuration(
            method: method, headers: ["Cookie": "C", "X-Own": "O", "Content-Type": "B"], body: [1])
        var connection = try ConnectionStateMachine(to: "https://a/x/events", configuration, lastEventID: "")
        _ = try connection.connect(token: "t")
        _ = try connection.answered(ResponseHead(status: status, location: location), using: &random)
        _ = try connection.answered(ResponseHead(status: 200, contentTypes: ["text/event-stream"]), using: &random)
        _ = connection.lost(.ended, using: &random)
        return connection
    }

    @Test(
        "A reconnect goes where redirects have led, whether they are permanent or not",
        arguments: [301, 302, 303, 307, 308])
    mutating func reconnect(status: Int) throws {
        var connection = try moved(by: status, to: "/y")
        let request = try #require(try sent(connection.connect(token: "u")))
        #expect(request.target.text == "https://a/y")
        #expect(request.headers["Authorization"] == "Bearer u")
        #expect(request.headers["Cookie"] == "C")
        // The redirect is relative to the new URL, and the redirects are counted from zero.
        _ = try connection.answered(ResponseHead(status: 302, location: "z"), using: &random)
        _ = try connection.answered(ResponseHead(status: 200, contentTypes: ["text/event-stream"]), using: &random)
        _ = connection.lost(.ended, using: &random)
        #expect(try sent(connection.connect(token: nil))?.target.text == "https://a/z")
    }

    @Test("A reconnect to another origin has no credentials")
    mutating func reconnectElsewhere() throws {
        var connection = try moved(by: 307, to: "https://b/y")
        let request = try #require(try sent(connection.connect(token: "u")))
        #expect(request.target.text == "https://b/y")
        #expect(request.headers["Authorization"] == nil)
        #expect(request.headers["Cookie"] == nil)
        #expect(request.headers["X-Own"] == "O")
    }

    @Test(
        "A reconnect asks as the redirect did",
        arguments: [(303, "POST", "GET"), (303, "GET", "GET"), (307, "POST", "POST")])
    mutating func reconnectMethod(status: Int, method: String, next: String) throws {
        var connection = try moved(by: status, to: "/y", method: method)
        let request = try #require(try sent(connection.connect(token: nil)))
        #expect(request.method == next)
        #expect((request.body == nil) == (status == 303))
        #expect((request.headers["Content-Type"] == nil) == (status == 303))
    }

    @Test("A connect that fails where redirects led begins at the URL of the source again")
    mutating func reconnectFails() throws {
        var connection = try moved(by: 307, to: "https://b/y")
        _ = try connection.connect(token: nil)
        _ = connection.lost(.timedOut, using: &random)
        #expect(try sent(connection.connect(token: nil))?.target.text == "https://a/x/events")
    }

    @Test(
        "A redirect changes the method as in Fetch",
        arguments: [
            (301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (307, "POST", "POST"),
            (308, "POST", "POST"),
            (303, "HEAD", "HEAD"), (303, "QUERY", "GET"), (302, "QUERY", "QUERY"),
        ])
    func redirectMethod(status: Int, method: String, next: String) throws {
        let request = try #require(try redirected(by: status, to: "/y", method: method))
        #expect(request.method == next)
        #expect((request.body == nil) == (method != next))
        for name in Self.aboutBody { #expect((request.headers[name] == nil) == (method != next)) }
    }

    @Test(
        "A redirect to an invalid URL is an error",
        arguments: ["ftp://a/", "http://u:p@a/", "http://", "http://1.2.3.4:65536/"])
    func redirectTarget(location: String) throws {
        let error = #expect(throws: EventSourceError.self) { try redirected(to: location) }
        #expect(error?.code == .invalidRedirect)
    }

    @Test("A connect follows as many redirects as the configuration allows")
    mutating func maximumRedirects() throws {
        let configuration = EventSource.Configuration(maximumRedirects: 3)
        var connection = try ConnectionStateMachine(to: "http://a/", configuration, lastEventID: "")
        let answer = ResponseHead(status: 302, location: "/")
        for _ in 0..<2 {
            _ = try connection.connect(token: nil)
            for _ in 0..<3 { #expect(try sent(connection.answered(answer, using: &random)) != nil) }
        }
        let error = #expect(throws: EventSourceError.self) { try connection.answered(answer, using: &random) }
        #expect(error?.code == .tooManyRedirects)
    }

    @Test(
        "A header that would break the request is refused",
        arguments: [
            ("A\nB", "x"), ("", "x"), ("A", "x\r\ny"), ("A", "\u{0}"), ("A", "\u{7F}"), ("A b", "x"), ("é", "x"),
        ])
    func brokenHeader(name: String, value: String) throws {
        let configuration = EventSource.Configuration(headers: [name: value])
        var connection = try ConnectionStateMachine(to: "http://a/", configuration, lastEventID: "")
        let error = #expect(throws: EventSourceError.self) { try connection.connect(token: nil) }
        #expect(error?.code == .invalidRequest)
    }

    @Test("A method that cannot return a stream is refused", arguments: ["", "GET /", "CONNECT", "TRACE"])
    func invalidMethod(method: String) throws {
        let configuration = EventSource.Configuration(method: method)
        var connection = try ConnectionStateMachine(to: "http://a/", configuration, lastEventID: "")
        let error = #expect(throws: EventSourceError.self) { try connection.connect(token: nil) }
        #expect(error?.code == .invalidRequest)
    }

    @Test("The request accepts an event stream, neither compressed nor cached")
    func request() throws {
        var connection = try ConnectionStateMachine(to: "HTTP://a/", .init(), lastEventID: "7")
        let request = try #require(sent(try connection.connect(token: nil)))
        let headers = [
            "Accept": "text/event-stream", "Accept-Encoding": "identity", "Cache-Control": "no-cache",
            "Last-Event-ID": "7",
        ]
        #expect(Dictionary(uniqueKeysWithValues: request.headers.fields.map { ($0.name, $0.value) }) == headers)
        #expect(request.method == "GET")
        #expect(request.body == nil)
    }

    @Test("A token replaces the header of the application")
    func tokenOverHeader() throws {
        let configuration = EventSource.Configuration(headers: ["authorization": "A"])
        var connection = try ConnectionStateMachine(to: "http://a/", configuration, lastEventID: "")
        for (token, value) in [("t", "Bearer t"), (nil, "A")] {
            #expect(try sent(connection.connect(token: token))?.headers["Authorization"] == value)
        }
    }

    @Test("An application can accept another type, but not set the last event id")
    func acceptHeader() throws {
        let configuration = EventSource.Configuration(headers: ["accept": "*/*", "last-event-id": "no"])
        var connection = try ConnectionStateMachine(to: "http://a/", configuration, lastEventID: "")
        let request = try #require(sent(try connection.connect(token: nil)))
        #expect(request.headers["Accept"] == "*/*")
        #expect(request.headers["Last-Event-ID"] == nil)
        #expect(request.headers["Accept-Encoding"] == "identity")
    }
}
