// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import HTTPTypes
import Hummingbird
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletHTTP

@Suite struct AnswerHeaderTests {
    private static let shared = "no-cache, no-transform"
    private static let personal = "private, no-cache, no-store, no-transform"

    @Test(
        "Every answer of the hub forbids sniffing",
        arguments: [
            ("GET", "/health/live", 200), ("GET", "/health/ready", 200), ("HEAD", "/health/live", 200),
            ("POST", "/health/live", 405), ("GET", "/", 200), ("HEAD", "/", 200), ("OPTIONS", "/", 204),
            ("GET", "/nowhere", 404), ("PROPFIND", "/events/a", 501), ("DELETE", "/events/a", 405),
            ("OPTIONS", "/events/a", 204), ("OPTIONS", "*", 204), ("HEAD", "/events/a", 200), ("GET", "/events", 400),
            ("GET", "/events/%00", 400),
            ("POST", "/events/a", 200), ("POST", "/events", 415), ("POST", "/events/a?retry=x", 400),
            ("HEAD", "/api/events/stream", 200), ("HEAD", "/own/stream", 200), ("HEAD", "/own/hub", 200),
            ("GET", "/own/nothing", 204), ("GET", "/metrics", 200), ("POST", "/tickets", 400),
        ])
    func everyAnswerOfTheHub(
        method: String, path: String, status: Int
    ) async throws {
        let hub = quickHub()
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.events("own/stream") { _, _, stream in try await stream.open() }
            router.events("own/nothing") { _, _, _ in throw NoMoreEvents() }
            router.events("own/hub", from: hub) { _, _ in HubStream("a") }
            router.addMetrics(as: "text/plain") { "" }
        }
        try await TestServer.run(hub: hub, adding: routes) { server in
            let response = try await server.request(method, path, body: "1")
            #expect(response.status == status, "\(response.body)")
            #expect(response.header("x-content-type-options") == "nosniff")
        }
    }

    @Test("Every stream forbids sniffing")
    func everyStreamForbidsSniffing() async throws {
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.events("own") { _, _, stream in try await stream.send("1") }
        }
        try await TestServer.run(adding: routes) { server in
            for path in ["/events/a", "/api/events/stream", "/own"] {
                let source = try await TestEventSource(port: server.port, path: path)
                let head = TestResponse(source.head + "\r\n\r\n")
                #expect(
                    head.header("x-content-type-options") == "nosniff" && head.header("cache-control") == Self.shared)
                try await source.connection.close()
            }
            server.hub.beginDrain()
            let sentAway = try await server.request("GET", "/events/a")
            #expect(sentAway.status == 200 && sentAway.header("x-content-type-options") == "nosniff")
        }
    }

    @Test(
        "No cache may keep a stream whose grant is personal",
        arguments: [
            Grant(principal: "alice", seesAllPublic: true), Grant(subscribe: ["a"], seesAllPublic: true),
            Grant(subscribe: ["a"]), Grant(seesAllPublic: true, end: .distantFuture),
            Grant(seesAllPublic: true, payload: "1"),
        ])
    func noCacheMayKeep(grant: Grant) async throws {
        try await TestServer.run(access: Access { _, _, _ in grant }) { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            #expect(TestResponse(source.head + "\r\n\r\n").header("cache-control") == Self.personal)
            let head = try await server.request("HEAD", "/events/a")
            #expect(head.header("cache-control") == Self.personal)
        }
    }

    @Test(
        "No cache may keep a stream that was requested with credentials",
        arguments: [
            ("/events/a", [:], shared), ("/events/a?topic=authorization", [:], shared),
            ("/events/a", ["Authorization": "Bearer x"], personal), ("/events/a", ["Cookie": "a=b"], personal),
            ("/events/a?authorization=x", [:], personal), ("/own/stream", [:], shared),
            ("/own/stream", ["Authorization": "Bearer x"], personal), ("/own/hub", ["Cookie": "a=b"], personal),
            ("/own/sequence", [:], shared), ("/own/sequence", ["Cookie": "a=b"], personal),
        ] as [(String, [String: String], String)])
    func noCacheMayKeepAStream(
        path: String, headers: [String: String], cacheControl: String
    ) async throws {
        let hub = quickHub()
        func routes(_ router: Router<BasicEventStreamRequestContext>) {
            router.events("own/stream") { _, _, stream in try await stream.open() }
            router.events("own/hub", from: hub) { _, _ in HubStream("a") }
            router.get("own/sequence") { _, _ in ServerSentEvents(AsyncStream<String> { $0.finish() }) }
        }
        try await TestServer.run(hub: hub, adding: routes) { server in
            let source = try await TestEventSource(port: server.port, path: path, headers: headers)
            #expect(TestResponse(source.head + "\r\n\r\n").header("cache-control") == cacheControl)
        }
    }

    @Test("No cache may keep a stream that a ticket opened")
    func noCacheMayKeepAStreamThatATicket() async throws {
        let access = Access<BasicEventStreamRequestContext> { request, _, _ in
            let isNamed = request.headers.contains(.authorization)
            return Grant(seesAllPublic: true, end: isNamed ? .distantFuture : nil)
        }
        try await TestServer.run(access: access) { server in
            let answer = try await server.request("POST", "/tickets?topic=a", headers: ["Authorization": "Bearer x"])
            let ticket = try #require(try JSONValue(parsing: answer.body.utf8)["ticket"]?.stringValue)
            let source = try await TestEventSource(port: server.port, path: "/events/a?ticket=\(ticket)")
            #expect(TestResponse(source.head + "\r\n\r\n").header("cache-control") == Self.personal)
        }
    }
}
