// SPDX-License-Identifier: Apache-2.0

import EventStream
import HTTPTypes
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletHTTP

@Suite struct IdempotencyKeyTests {
    private func key(_ values: String...) throws -> String? {
        var headers: HTTPFields = [:]
        headers[values: .idempotencyKey] = values
        return try HubRequest(method: .post, target: "/", headers: headers).idempotencyKey
    }

    @Test("A key is the same with quotes and without")
    func keyIsTheSame() throws {
        #expect(try key() == nil)
        for text in ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "a \"b\" c", "\\", "a\\\"", "\u{E9}", "a,b;c=d"] {
            #expect(try key(text) == text)
            let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            #expect(try key("\"\(escaped)\"") == text)
        }
        #expect(try key("\" a \"") == " a ")
    }

    @Test(
        "Other values are refused, and so are several keys",
        arguments: [["\""], ["\"a"], ["\"a\"b"], ["\"a\";b=1"], ["\"a\\"], ["\"a\\b\""], ["\"a\\\""], ["a", "a"]])
    func whatIsNeitherIsRefused(values: [String]) {
        let problem = #expect(throws: Problem.self) {
            _ = try values.count == 1 ? key(values[0]) : key(values[0], values[1])
        }
        #expect(problem?.status == .badRequest)
        #expect(problem?.field == "Idempotency-Key")
    }

    @Test("A publish that is repeated with its key is published once and answered as the first time")
    func publishThatIsRepeated() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            let headers = ["Idempotency-Key": "once"]
            let first = try await server.request("POST", "/events/a?type=t", headers: headers, body: "1")
            #expect(first.status == 200)
            for key in ["once", "\"once\""] {
                let again = try await server.request(
                    "POST", "/events/a", headers: ["Idempotency-Key": key, "Event-Type": "t"], body: "1")
                #expect(again.status == 200)
                #expect(again.body == first.body)
            }
            let other = try await server.request(
                "POST", "/events/a?type=t", headers: ["Idempotency-Key": "o"], body: "1")
            let none = try await server.request("POST", "/events/a?type=t", body: "1")
            #expect(Set([first.body, other.body, none.body]).count == 3)
            for response in [first, other, none] {
                #expect(try await source.next()?.id == String(response.body.dropLast()))
            }
        }
    }

    @Test("A batch that is repeated with its key is published once and answered as the first time")
    func batchThatIsRepeated() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a?topic=b")
            let headers = ["Idempotency-Key": "once", "Content-Type": "application/x-ndjson"]
            let batch = #"{"topic":"a","data":"1"}"# + "\n" + #"{"topic":"b","data":"2","id":"own"}"#
            let first = try await server.request("POST", "/events", headers: headers, body: batch)
            #expect(first.status == 200)
            // The events count, not how they are written.
            let again = try await server.request("POST", "/events", headers: headers, body: "\n" + batch + "\n")
            #expect(again.status == 200)
            #expect(again.body == first.body)
            let more = try await server.request("POST", "/events", headers: headers, body: batch + "\n" + batch)
            #expect(more.status == 422)
            try await server.hub.publish("after", to: "a")
            for data in ["1", "2", "after"] { #expect(try await source.next()?.data == data) }
        }
    }

    @Test(
        "A key that is given with something else is refused",
        arguments: [("/events/a", "2"), ("/events/b", "1"), ("/events/a?type=t", "1"), ("/events/a?private", "1")])
    func keyThatIsGiven(path: String, body: String) async throws {
        try await TestServer.run { server in
            let headers = ["Idempotency-Key": "once"]
            #expect(try await server.request("POST", "/events/a", headers: headers, body: "1").status == 200)
            let response = try await server.request("POST", path, headers: headers, body: body)
            #expect(response.status == 422)
            #expect(response.header("content-type") == "application/problem+json")
            #expect(response.body.contains(#""field":"Idempotency-Key""#), "\(response.body)")
        }
    }

    @Test("Principals do not share idempotency keys")
    func nobodyMeetsAnother() async throws {
        let principals = [nil, "", "o", "on", "=", "\n", "=\n", "=on", "\r", "on\n"]
        let keys = ["once", "nce", "ce", "=once", "=on"]
        let access = Access<BasicEventStreamRequestContext> { request, _, _ in
            let index = try #require(request.headers[.authorization].flatMap { Int($0) })
            return Grant(principal: principals[index], publish: [.every])
        }
        try await TestServer.run(access: access) { server in
            var ids: Set<String> = []
            for key in keys {
                ids.formUnion(try await server.hub.publish(contentsOf: [Event(topic: "a", data: "1")], once: key))
                for index in principals.indices {
                    let headers = ["Idempotency-Key": key, "Authorization": "\(index)"]
                    let first = try await server.request("POST", "/events/a", headers: headers, body: "1")
                    let again = try await server.request("POST", "/events/a", headers: headers, body: "1")
                    #expect(first.status == 200 && first.body == again.body)
                    ids.insert(String(first.body.dropLast()))
                }
            }
            #expect(ids.count == keys.count * (1 + principals.count))
        }
    }

    @Test(
        "A bad key is refused and the field named, and nothing is published",
        arguments: ["", "\"\"", "\"a", "a\tb", "a\u{85}b", String(repeating: "k", count: 256)])
    func badKeyIsRefused(key: String) async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a")
            for (path, body) in [("/events/a", "1"), ("/events", #"{"topic":"a"}"#)] {
                let headers = ["Idempotency-Key": key, "Content-Type": "application/x-ndjson"]
                let response = try await server.request("POST", path, headers: headers, body: body)
                #expect(response.status == 400)
                #expect(response.body.contains(#""field":"Idempotency-Key""#), "\(response.body)")
            }
            try await server.hub.publish("after", to: "a")
            #expect(try await source.next()?.data == "after")
        }
    }

    @Test("Only the key counts for its limit, and not whose it is")
    func onlyTheKeyCounts() async throws {
        let name = String(repeating: "p", count: 1000)
        let access = Access<BasicEventStreamRequestContext> { _, _, _ in Grant(principal: name, publish: [.every]) }
        try await TestServer.run(access: access) { server in
            let key = String(repeating: "k", count: 255)
            for key in [key, "\"\(key)\""] {
                let response = try await server.request(
                    "POST", "/events/a", headers: ["Idempotency-Key": key], body: "1")
                #expect(response.status == 200, "\(response.body)")
            }
        }
    }

    @Test("Errors of storage say whether a retry may help")
    func whatKeepsTheEventsSays() {
        let full = Problem(MartletError(.storageFull, "Full."))
        #expect(full.status.code == 507 && full.headers[.retryAfter] == nil)
        let failed = Problem(MartletError(.storageFailed, "Away."))
        #expect(failed.status == .serviceUnavailable && failed.headers[.retryAfter] == "1")
    }
}
