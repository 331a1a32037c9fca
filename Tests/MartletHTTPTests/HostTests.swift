// SPDX-License-Identifier: Apache-2.0

import EventStream
import Hummingbird
import Martlet
import MartletSupport
import MartletTesting
import TestSupport
import Testing

@testable import MartletHTTP

@Suite struct HostTests {
    private func answer(_ server: TestServer, _ lines: String..., body: String = "") async throws -> TestResponse {
        let connection = try await TestConnection(port: server.port)
        try await connection.send(lines.map { "\($0)\r\n" }.joined() + "Connection: close\r\n\r\n" + body)
        defer { connection.leave() }
        return TestResponse(try await connection.receiveAll())
    }

    @Test(
        "An invalid Host is refused with 400, whatever the target",
        arguments: [
            "a b/c", "localhost:abc", "localhost,localhost", "user@localhost", "localhost:65536", "", ":80", "[::1",
            "localhost/", "http://localhost", "a..b", "m\u{FC}nchen", "localhost\u{301}",
        ])
    func invalidHostIsRefused(host: String) async throws {
        try await TestServer.run { server in
            for target in ["/health/live", "/nowhere", "http://localhost/health/live"] {
                let response = try await answer(server, "GET \(target) HTTP/1.1", "Host: \(host)")
                #expect(response.status == 400)
                #expect(response.header("content-type") == "application/problem+json")
                #expect(response.body.contains(#""field":"Host""#), "\(response.body)")
                #expect(response.header("x-content-type-options") == "nosniff")
            }
        }
    }

    @Test(
        "Health is answered under any valid Host",
        arguments: ["localhost", "example.com:8080", "[::1]:80", "a_b.example.", "127.0.0.1", "localhost:"])
    func healthIsAnsweredUnderAny(host: String) async throws {
        try await TestServer.run { server in
            let response = try await answer(server, "GET /health/live HTTP/1.1", "Host: \(host)")
            #expect(response.status == 200)
        }
    }

    @Test(
        "The authority of a target that is a URL replaces Host",
        arguments: [
            ("http://localhost/events/a", "evil.example", 200), ("HTTP://LOCALHOST:1/events/a", "evil.example", 200),
            ("https://127.0.0.1/events/a?type=t", "evil.example", 200),
            ("http://evil.example/events/a", "localhost", 403),
            ("http://localhost.evil.example/events/a", "localhost", 403), ("http://localhost", "localhost", 405),
            ("http://localhost?a", "localhost", 405), ("http:///events/a", "localhost", 400),
            ("http://user@localhost/events/a", "localhost", 400), ("http://localhost:x/events/a", "localhost", 400),
            ("ftp://localhost/events/a", "localhost", 400),
            ("http://localhost\\@evil.example/events/a", "localhost", 400),
        ])
    func authorityOfATarget(
        target: String, host: String, status: Int
    ) async throws {
        try await TestServer.run { server in
            let response = try await answer(
                server, "POST \(target) HTTP/1.1", "Host: \(host)", "Content-Length: 1", body: "1")
            #expect(response.status == status, "\(response.body)")
        }
    }

    @Test("A target that is a URL has its path and its query")
    func targetThatIsAURL() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a//b%2Fc")
            let response = try await answer(
                server, "POST http://localhost/events/a//b/c?type=a%20b HTTP/1.1", "Host: x", "Content-Length: 1",
                body: "1")
            #expect(response.status == 200)
            let event = try await source.next()
            #expect(event?.event == "a b" && event?.data == "1")
        }
    }

    @Test(
        "A topic may begin with a combining mark",
        arguments: ["\u{301}a", "e\u{301}/\u{FE0F}", "\u{200D}/\u{1F3FD}", "größe"])
    func topicMayBegin(topic: String)
        async throws
    {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/\(topic.percentEncoded)")
            #expect(try await server.request("POST", "/events/\(topic.percentEncoded)", body: "1").status == 200)
            #expect(try await source.next()?.data == "1")
            try await server.hub.publish("2", to: try Topic(topic))
            #expect(try await source.next()?.data == "2")
        }
    }

    @Test("A name without a dot is in no public DNS, so it may read, but not publish")
    func readsUnderShortName() async throws {
        try await TestServer.run { server in
            let reading = try await server.request("HEAD", "/events/a", headers: ["Host": "hub:8080"])
            let publishing = try await server.request("POST", "/events/a", headers: ["Host": "hub:8080"], body: "1")
            #expect(reading.status == 200)
            #expect(publishing.status == 403)
        }
    }

    @Test("Local access refuses every request whose Host is another machine", arguments: ["GET", "HEAD", "POST"])
    func localAccessRefusesEveryRequest(method: String) async throws {
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            let local = router.group("local").add(middleware: LocalHostMiddleware(advice: "Set an option."))
            local.get("page") { _, _ in Response(status: .ok) }
            local.head("page") { _, _ in Response(status: .ok) }
            local.post("page") { _, _ in Response(status: .ok) }
        }
        try await TestServer.run(adding: routes) { server in
            for path in ["/events/a", "/events?topic=a", "/events/a?lastEventID=earliest", "/local/page"] {
                for host in ["evil.example", "localhost.evil.example", "0.0.0.0:80", "192.168.0.1", "[::2]"] {
                    let response = try await server.request(method, path, headers: ["Host": host], body: "1")
                    #expect(response.status == 403, "\(path) \(host)")
                    guard method != "HEAD" else { continue }
                    #expect(response.body.contains(#""field":"Host""#), "\(response.body)")
                    #expect(response.body.contains("Set an option.") == (path == "/local/page"))
                }
            }
        }
    }

    @Test("An HTTP/1.0 client without a Host may subscribe but not publish")
    func http10ClientWithout() async throws {
        try await TestServer.run { server in
            let subscribing = try await answer(server, "HEAD /events/a HTTP/1.0")
            let publishing = try await answer(server, "POST /events/a HTTP/1.0", "Content-Length: 1", body: "1")
            #expect(subscribing.status == 200)
            #expect(publishing.status == 403)
        }
    }
}
