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

@Suite struct StreamTopicsTests {
    /// Opens a stream with a name under which it can be changed, and reads the name.
    private func open(
        _ server: TestServer, _ path: String, headers: [String: String] = [:]
    ) async throws -> (TestEventSource, name: String) {
        let source = try await TestEventSource(port: server.port, path: path, headers: headers)
        let event = try #require(try await source.next())
        #expect(event.event == "control")
        let parts = try #require(event.data).split(separator: "\"")
        #expect(parts.count == 5 && parts[3].utf8.count == 32)
        return (source, String(parts[3]))
    }

    @Test("Topics are added to an open stream and removed from it", arguments: [0, 2])
    func change(shards: Int) async throws {
        try await TestServer.run(hub: quickHub { $0.shards = shards }) { server in
            let (source, name) = try await open(server, "/events/a?control=1")
            let added = try await server.request("POST", "/streams/\(name)/topics?add=b", headers: [:])
            #expect(added.status == 200 && added.header("content-type") == "application/json")
            let id = try await server.hub.publish("1", to: "b")
            #expect(try await source.next() == ServerSentEvent(data: "1", id: id))
            let changed = try await server.request(
                "POST", "/streams/\(name)/topics",
                headers: ["Content-Type": "application/x-www-form-urlencoded"], body: "add=c%2F1&remove=a&remove=b")
            #expect(changed.body == "{\"topics\":[\"c/1\"],\"after\":\"\(id)\",\"ended\":[]}\n")
            for topic: Topic in ["a", "b"] { try await server.hub.publish("not this", to: topic) }
            let last = try await server.hub.publish("2", to: "c/1")
            #expect(try await source.next() == ServerSentEvent(data: "2", id: last))
            _ = try await server.hub.end(covering: Position(try await server.hub.close("d")))
            let ended = try await server.request("POST", "/streams/\(name)/topics?add=d")
            #expect(ended.body.contains("\"topics\":[\"c/1\",\"d\"]") && ended.body.contains("\"ended\":[\"d\"]"))
        }
    }

    @Test("What cannot be changed is refused, with what to do, and the stream goes on")
    func refusals() async throws {
        try await TestServer.run(hub: quickHub { $0.limits.topicsPerSubscription = 3 }) { server in
            let (source, name) = try await open(server, "/events/a?control=1")
            for (query, status) in [
                ("", 400), ("?add=", 400), ("?add=b&remove=b", 400), ("?add=%00", 400), ("?remove=a", 409),
                ("?add=b&add=c&add=d", 400), ("?remove=other", 200),
            ] {
                let answer = try await server.request("POST", "/streams/\(name)/topics\(query)")
                #expect(answer.status == status, "\(query): \(answer.body)")
            }
            for path in ["/streams/0123/topics", "/streams/\(name.uppercased())x/topics"] {
                #expect(try await server.request("POST", path + "?add=b").status == 404)
            }
            #expect(try await server.request("GET", "/streams/\(name)/topics").status == 405)
            for value in ["0", "", "yes"] {
                #expect(try await server.request("GET", "/events/a?control=\(value)").status == 400)
            }
            try await server.hub.publish("on", to: "a")
            #expect(try await source.next()?.data == "on")
            try await source.connection.close()
            try await server.until { $0.streamCount == 0 }
            #expect(try await server.request("POST", "/streams/\(name)/topics?add=b").status == 404)
        }
    }

    @Test("Only its principal changes a stream, with the rights that it has now")
    func rights() async throws {
        let access = Access<BasicEventStreamRequestContext> { request, _, _ in
            guard let who = request.headers[HTTPField.Name("X-Who")!] else { throw Problem(.unauthorized, "Who?") }
            return Grant(principal: who, subscribe: [TopicSelector("users/\(who)/{id}")])
        }
        try await TestServer.run(hub: quickHub(), access: access) { server in
            let alice = ["X-Who": "alice"]
            let (source, name) = try await open(server, "/events/users/alice/1?control=1", headers: alice)
            func add(_ topic: String, _ headers: [String: String]) async throws -> Int {
                try await server.request("POST", "/streams/\(name)/topics?add=\(topic)", headers: headers).status
            }
            #expect(try await add("users/alice/2", [:]) == 401)
            #expect(try await add("users/bob/1", ["X-Who": "bob"]) == 404)
            #expect(try await add("users/bob/1", alice) == 403)
            #expect(try await add("users/alice/2", alice) == 200)
            try await server.hub.publish(Event(topic: "users/alice/2", data: "secret", isPrivate: true))
            #expect(try await source.next()?.data == "secret")
        }
    }

    @Test("A stream that was changed ends with the credentials that changed it", arguments: [0, 2])
    func end(shards: Int) async throws {
        let access = Access<BasicEventStreamRequestContext> { request, _, _ in
            let end = request.method == .get ? nil : Date(timeIntervalSinceNow: 0.5)
            return Grant(principal: "alice", seesAllPublic: true, end: end)
        }
        try await TestServer.run(hub: quickHub { $0.shards = shards }, access: access) { server in
            let (source, name) = try await open(server, "/events/a?control=1")
            let answer = try await server.request("POST", "/streams/\(name)/topics?add=b")
            #expect(answer.status == 200)
            while try await source.nextElement() != nil {}
            try await server.until { $0.streamCount == 0 }
        }
    }
}
