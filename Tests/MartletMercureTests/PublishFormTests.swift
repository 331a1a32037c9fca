// SPDX-License-Identifier: Apache-2.0

import Martlet
import Testing

@testable import MartletMercure

@Suite struct PublishFormTests {
    private func parse(_ text: String) throws(MercureProblem) -> Update { try PublishForm.parse(text.utf8) }

    private func problem(_ text: String) -> MercureProblem? {
        #expect(throws: MercureProblem.self) { try parse(text) }
    }

    @Test func `every field of the form is read`() throws {
        let update = try parse("topic=a&data=x%0Ay&private=on&id=7&type=t&retry=30&topic=b+c&other=1&data=z")
        #expect(update.topics == ["a", "b c"])
        #expect(update.data == "x\ny" && update.isPrivate)
        #expect(update.id == "7" && update.type == "t" && update.retry == 30)
    }

    @Test func `a topic is enough`() throws {
        for text in ["topic=a", "topic=a&data=&id=&type=&retry=", "topic=a&retry=0"] {
            let update = try parse(text)
            #expect(update.data == "" && !update.isPrivate)
            #expect(update.id == nil && update.type == nil && update.retry == nil)
        }
    }

    @Test(arguments: ["private", "private=", "private=on", "private=0", "private=false"])
    func `an update is private where the field is there`(field: String) throws {
        #expect(try parse("topic=a&\(field)").isPrivate)
    }

    @Test(
        arguments: [
            ("", "topic"), ("data=x", "topic"), ("topic=", "topic"), ("topic=a&topic=%0A", "topic"),
            ("topic=a&id=%00", "id"), ("topic=a&id=a%0Ab", "id"), ("topic=a&type=a%0D", "type"),
            ("topic=a&retry=-1", "retry"), ("topic=a&retry=1.5", "retry"), ("topic=a&retry=%2B1", "retry"),
            ("topic=a&retry=99999999999999999999", "retry"), ("topic=a&retry=86400001", "retry"),
            ("topic=a&data=%FF", "data"),
        ])
    func `bad fields are refused and named`(text: String, field: String) {
        #expect(problem(text)?.status == 400)
        #expect(problem(text)?.field == field)
    }

    @Test func `limits hold at their edges`() throws {
        let topics = Array(repeating: "topic=a", count: 1000).joined(separator: "&")
        #expect(try parse(topics).topics.count == 1000)
        #expect(problem(topics + "&topic=a")?.field == "topic")
        let long = String(repeating: "a", count: 1024)
        #expect(try parse("topic=\(long)&id=\(long)").id == long)
        #expect(problem("topic=\(long)a")?.status == 400)
        #expect(problem("topic=a&id=\(long)a")?.status == 400)
        let data = String(repeating: "a", count: 1024 * 1024)
        #expect(try parse("topic=a&data=" + data).data == data)
        #expect(problem("topic=a&data=a" + data)?.status == 413)
        #expect(MercureProblem.bodyTooLarge(limit: 9).status == 413)
        #expect(MercureProblem(MartletError(.tooLarge, "")).status == 413)
        #expect(MercureProblem(MartletError(.overloaded, "")).status == 503)
    }

    @Test(
        arguments: [
            "/.well-known/mercure", "/.well-known/mercure/", "/.well-known/mercure/subscriptions/a/b",
            "/.well-known/%6Dercure", "/%2Ewell-known/mercure", "/.well-known/%6dercure/x", "/.well-known%2Fmercure",
            "/x/../.well-known/mercure", "/.well-known/./mercure", "/.well-known/x/%2e%2E/mercure",
            "\\.well-known\\mercure", "/.well-known%5cmercure", "/.well-known//mercure", "//.well-known/mercure",
            ".well-known/mercure", "../.well-known/mercure", " /.well-known/mercure ", "/.well-known/mercure?a",
            "/.well-known/mercure#a",
            "https://hub.example/.well-known/mercure", "HTTPS://other.example:1/a/../.well-known/mercure/x",
            "//other.example/.well-known/mercure", "https:\\\\h\\.well-known\\mercure", "https:/.well-known/mercure",
            "https:.well-known/mercure", "https:////h/.well-known/mercure", "https://u:p@h/.well-known/%6Dercure",
            "a+b://h/.well-known/mercure",
        ])
    func `topics of the hub's own are forbidden, however they are written`(topic: String) {
        #expect(problem("topic=a&topic=" + topic.percentEncoded)?.status == 403)
    }

    @Test(
        arguments: [
            "/", "mercure", "#general", "?a", "/.well-known/mercury", "/.well-known/mercure2",
            "/.well-known/mercurex/a",
            "/a/.well-known/mercure", "/.well-known", "/.Well-Known/mercure", "/.well-known/%256Dercure", "a:b", "*",
            "%",
            "/.well-known/mercure/..", "https://example.com/a?u=/.well-known/mercure", "urn:uuid:1", "{id}", "%6", "..",
        ])
    func `other topics are not`(topic: String) throws {
        #expect(try parse("topic=" + topic.percentEncoded).topics == [Topic(topic)])
    }
}
