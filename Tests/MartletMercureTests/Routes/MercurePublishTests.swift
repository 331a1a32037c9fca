// SPDX-License-Identifier: Apache-2.0

import EventStream
import Martlet
import MartletHTTP
import MartletMercure
import MartletTesting
import TestSupport
import Testing

@Suite struct MercurePublishTests {
    @Test("The answer is the id and nothing else, and subscribers see it")
    func answerIsTheId() async throws {
        try await MercureServer.run { mercure in
            let source = try await mercure.listen("topic=a")
            let generated = try await mercure.post("topic=a&data=1")
            #expect(generated.status == 200)
            #expect(generated.header("content-type") == "text/plain; charset=utf-8")
            #expect(try await source.next() == ServerSentEvent(data: "1", id: generated.body))
            let chosen = try await mercure.post("topic=a&data=2&id=urn%3Auuid%3A1&type=changed&retry=7")
            #expect(chosen.body == "urn:uuid:1")
            #expect(try await source.next() == ServerSentEvent(event: "changed", data: "2", id: "urn:uuid:1"))
            let resumed = try await mercure.listen("topic=a", lastEventID: generated.body)
            #expect(try await resumed.next()?.data == "2")
        }
    }

    @Test("A form that is repeated with its key is published once, whatever the route")
    func formThatIsRepeated() async throws {
        try await MercureServer.run { mercure in
            let source = try await mercure.listen("topic=a")
            let headers = ["Idempotency-Key": "once", "Authorization": "Bearer all"]
            let first = try await mercure.request("POST", "", headers: headers, body: "topic=a&data=1&type=t")
            #expect(first.status == 200)
            let quoted = headers.merging(["Idempotency-Key": "\"once\""]) { $1 }
            let again = try await mercure.request("POST", "", headers: quoted, body: "data=1&type=t&topic=a&x=y")
            #expect(again.status == 200 && again.body == first.body)
            let other = try await mercure.server.request("POST", "/events/a?type=t", headers: headers, body: "1")
            #expect(other.status == 200 && other.body == first.body + "\n")
            for form in ["topic=a&data=2&type=t", "topic=a&topic=b&data=1&type=t", "topic=a&data=1&type=t&private"] {
                let reused = try await mercure.request("POST", "", headers: headers, body: form)
                #expect(reused.status == 422)
                #expect(reused.header("content-type") == "application/problem+json")
                #expect(reused.body.contains(#""field":"Idempotency-Key""#), "\(reused.body)")
            }
            try await mercure.hub.publish("after", to: "a")
            #expect(try await source.data(of: 2) == ["1", "after"])
        }
    }

    @Test("Principals do not share idempotency keys")
    func nobodyMeetsAnother() async throws {
        let grants = [
            "alice": Grant(principal: "alice", publish: [.every]), "bob": Grant(principal: "bob", publish: [.every]),
        ]
        try await MercureServer.run(grants: grants) { mercure in
            var ids: Set<String> = []
            for token in ["alice", "bob", "all", "bob", "alice"] {
                let response = try await mercure.request(
                    "POST", "", token: token, headers: ["Idempotency-Key": "once"], body: "topic=a")
                #expect(response.status == 200)
                ids.insert(response.body)
            }
            #expect(ids.count == 3)
        }
    }

    @Test(
        "A bad key is refused and the field named",
        arguments: ["", "\"\"", "\"once", "a\tb", String(repeating: "k", count: 256)])
    func badKeyIsRefused(key: String) async throws {
        try await MercureServer.run { mercure in
            let response = try await mercure.request(
                "POST", "", token: "all", headers: ["Idempotency-Key": key], body: "topic=a")
            #expect(response.status == 400)
            #expect(response.body.contains(#""field":"Idempotency-Key""#), "\(response.body)")
        }
    }

    @Test("An update reaches each subscriber of any of its topics once")
    func updateReachesOnceWhoeverSubscribes() async throws {
        try await MercureServer.run { mercure in
            let sources = [
                try await mercure.listen("topic=a"), try await mercure.listen("topic=b"),
                try await mercure.listen("topic=a&topic=b&topic=*"), try await mercure.listen("topic=c/%7Bid%7D"),
            ]
            let other = try await mercure.listen("topic=d")
            #expect(try await mercure.post("topic=a&topic=b&topic=c/1&topic=a&data=1").status == 200)
            #expect(try await mercure.post("topic=a&topic=b&topic=c/2&topic=d&data=2").status == 200)
            for source in sources { #expect(try await source.data(of: 2) == ["1", "2"]) }
            #expect(try await other.next()?.data == "2")
        }
    }

    @Test("An update needs no data")
    func updateNeedsNoData() async throws {
        try await MercureServer.run { mercure in
            let source = try await mercure.listen("topic=a")
            let id = try await mercure.post("topic=a").body
            #expect(try await source.next() == ServerSentEvent(data: "", id: id))
            #expect(String(decoding: source.body, as: UTF8.self).hasSuffix("id: \(id)\ndata:\n\n"))
        }
    }

    @Test("Data has its lines on the wire, whatever ends them")
    func dataHasItsLines() async throws {
        try await MercureServer.run { mercure in
            let source = try await mercure.listen("topic=a")
            let id = try await mercure.post("topic=a&data=1%0A2%0D%0A3%0D4%0A%0A+5+%0A").body
            #expect(try await source.next()?.data == "1\n2\n3\n4\n\n 5 \n")
            let lines = [" 1", " 2", " 3", " 4", "", "  5 ", ""].map { "data:\($0)\n" }.joined()
            #expect(String(decoding: source.body, as: UTF8.self).hasSuffix("id: \(id)\n\(lines)\n"))
        }
    }

    @Test(
        "Bad forms are refused with a problem document that names the field",
        arguments: [
            ("", "topic"), ("data=1", "topic"), ("topic=", "topic"), ("topic=a&topic=%07", "topic"),
            ("topic=a%C2%80", "topic"), ("topic=a&id=%00", "id"), ("topic=a&id=a%0D", "id"),
            ("topic=a&id=earliest", "id"), ("topic=a&id=%231", "id"),
            ("topic=a&id=x+", "id"), ("topic=a&type=a%0Ab", "type"),
            ("topic=a&type=gap", "type"), ("topic=a&retry=1s", "retry"), ("topic=a&retry=86400001", "retry"),
            ("topic=a&data=%FF", "data"), ("topic=a&data=%", "data"),
            ("topic=\(String(repeating: "t", count: 1025))", "topic"),
            ((0...1000).map { "topic=\($0)" }.joined(separator: "&"), "topic"),
        ])
    func badFormsAreRefused(
        form: String, field: String
    ) async throws {
        try await MercureServer.run { mercure in
            let response = try await mercure.post(form)
            #expect(response.status == 400)
            #expect(response.header("content-type") == "application/problem+json")
            #expect(response.body.contains("\"field\":\"\(field)\""), "\(response.body)")
        }
    }

    @Test("An id that could be taken for the hub's own is refused")
    func idThatCouldBeTaken() async throws {
        try await MercureServer.run { mercure in
            let id = try await mercure.post("topic=a").body
            let response = try await mercure.post("topic=a&id=\(id)")
            #expect(response.status == 400)
            #expect(response.body.contains(#""field":"id""#))
        }
    }

    @Test(
        "No protocol publishes to the topics of the hub",
        arguments: [
            "/.well-known/mercure", "/.well-known/mercure/subscriptions/a/urn%3Auuid%3A1", "/.well-known/%6Dercure/x",
            "/a/../.well-known/mercure", "\\.well-known\\mercure", "https://another.example/.well-known/mercure",
            "//another.example/a/%2e%2e/.well-known/mercure/subscriptions",
            "/.well-known/mercure/subscriptions/../..",
            "/.well-known/mercure/subscriptions/..%2F..%2F../urn%3Auuid%3A1",
        ])
    func nobodyPublishesToTopics(topic: String) async throws {
        try await MercureServer.run { mercure in
            let encoded = topic.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            let json = topic.replacing("\\", with: "\\\\")
            let ndjson = ["Content-Type": "application/x-ndjson", "Authorization": "Bearer all"]
            let answers = [
                try await mercure.post("topic=\(encoded)&data=1"),
                try await mercure.post("topic=a&topic=\(encoded)&data=1"),
                try await mercure.server.request(
                    "POST", "/events/\(encoded)", headers: ["Authorization": "Bearer all"], body: "1"),
                try await mercure.server.request(
                    "POST", "/events", headers: ndjson, body: #"{"topic":"a"}"# + "\n" + #"{"topic":"\#(json)"}"#),
            ]
            for answer in answers {
                #expect(answer.status == 403)
                #expect(answer.body.contains(#""field":"topic""#), "\(answer.body)")
            }
            #expect(answers[3].body.contains(#""line":2"#))
            await #expect(throws: MartletError.self) { try await mercure.hub.publish("1", to: try Topic(topic)) }
        }
    }

    @Test("Bodies are accepted up to the limit and refused above")
    func bodiesAreAcceptedUp() async throws {
        var options = MercureOptions()
        options.maximumBodyBytes = 100
        try await MercureServer.run(options: options) { mercure in
            let data = String(repeating: "d", count: 87)
            #expect(try await mercure.post("topic=a&data=\(data)").status == 200)
            let large = try await mercure.post("topic=a&data=\(data)d")
            #expect(large.status == 413)
            #expect(large.header("content-type") == "application/problem+json")
        }
    }

    @Test(
        "The body is a form",
        arguments: [
            ("application/x-www-form-urlencoded; charset=utf-8", 200), ("Application/X-WWW-Form-Urlencoded", 200),
            (nil, 200), ("application/json", 415), ("multipart/form-data; boundary=x", 415), ("", 415),
        ] as [(String?, Int)])
    func bodyIsAForm(type: String?, status: Int) async throws {
        try await MercureServer.run { mercure in
            let headers = type.map { ["Content-Type": $0] } ?? [:]
            let response = try await mercure.request("POST", "", token: "all", headers: headers, body: "topic=a")
            #expect(response.status == status, "\(response.body)")
        }
    }

    @Test("Every topic has to be granted, and the one that is not is named")
    func everyTopic() async throws {
        let grants = ["books": Grant(seesAllPublic: true, publish: ["books/{id}", "news"].selectors)]
        try await MercureServer.run(grants: grants) { mercure in
            #expect(try await mercure.post("topic=books/1&topic=news", token: "books").status == 200)
            let refused = try await mercure.post("topic=books/1&topic=news/1&data=1", token: "books")
            #expect(refused.status == 401)
            #expect(refused.header("www-authenticate") == "Bearer")
            #expect(refused.header("content-type") == "application/problem+json")
            #expect(refused.body.contains(#""field":"topic""#) && refused.body.contains("news/1"), "\(refused.body)")
        }
    }

    @Test("The right to publish is checked before the event")
    func whoMayPublishIsAsked() async throws {
        let grants = ["reader": Grant(subscribe: [.every], seesAllPublic: true)]
        try await MercureServer.run(grants: grants, anonymous: nil) { mercure in
            for token in [nil, "unknown"] {
                let response = try await mercure.post("topic=%", token: token)
                #expect(response.status == 401)
                #expect(response.header("www-authenticate") == "Bearer")
            }
            #expect(try await mercure.post("topic=a", token: "reader").status == 401)
        }
    }

    @Test("A publisher that leaves before the answer has published")
    func publisherThatLeavesBefore() async throws {
        try await MercureServer.run { mercure in
            let source = try await mercure.listen("topic=a")
            for number in 0..<50 {
                let form = "topic=a&data=\(number)"
                let connection = try await TestConnection(port: mercure.server.port)
                try await connection.send(
                    "POST /.well-known/mercure HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all\r\n"
                        + "Content-Length: \(form.utf8.count)\r\n\r\n\(form)")
                try await connection.close()
                #expect(try await source.next()?.data == "\(number)")
            }
        }
    }

    @Test("A log that does not answer is not the client's fault")
    func logThatDoesNotAnswer() async throws {
        let hub = Hub(log: FailingLog(), configuration: quickHub().configuration, logger: quiet)
        try await MercureServer.run(hub: hub) { mercure in
            let publish = try await mercure.post("topic=a")
            let subscribe = try await mercure.request("GET", "?topic=a&lastEventID=1")
            for response in [publish, subscribe] {
                #expect(response.status == 503)
                #expect(response.header("retry-after") == "1")
                #expect(response.header("content-type") == "application/problem+json")
            }
        }
    }

    @Test("A client that subscribes while the log is away is told when to return")
    func whoSubscribesWhileTheLog() async throws {
        let away = FailingLog(throwing: MartletError(.storageFailed, ""))
        let hub = Hub(log: away, configuration: quickHub().configuration, logger: quiet)
        try await MercureServer.run(hub: hub) { mercure in
            let response = try await mercure.request("GET", "?topic=a&lastEventID=1")
            #expect(response.status == 200)
            #expect(response.header("content-type") == "text/event-stream")
            #expect(response.body.contains("retry: ") && !response.body.contains("id: "))
        }
    }
}

extension [String] {
    var selectors: Set<TopicSelector> { Set(map { TopicSelector($0) }) }
}
