// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHTTP
import Testing

@testable import MartletMercure

@Suite struct PublishFormTests {
    private func parse(_ text: String) throws -> Event {
        try PublishForm.event(of: try FormFields(text.utf8))
    }

    private func problem(_ text: String) -> MercureProblem? {
        #expect(throws: MercureProblem.self) { try parse(text) }
    }

    @Test("Every field of the form is read")
    func everyFieldOfTheForm() throws {
        let update = try parse("topic=a&data=x%0Ay&private=on&id=7&type=t&retry=30&topic=b+c&other=1&data=z")
        #expect(update.topics == ["a", "b c"])
        #expect(update.data == "x\ny" && update.isPrivate)
        #expect(update.id == "7" && update.type == "t" && update.retry == 30)
    }

    @Test("A topic is enough")
    func topicIsEnough() throws {
        for text in ["topic=a", "topic=a&data=&id=&type=&retry=", "topic=a&retry=0"] {
            let update = try parse(text)
            #expect(update.data == "" && !update.isPrivate)
            #expect(update.id == nil && update.type == nil && update.retry == nil)
        }
    }

    @Test("A topic that is named twice is one")
    func topicThatIsNamedTwice() throws {
        #expect(try parse("topic=a&topic=b&topic=a&topic=%61").topics == ["a", "b"])
        let same = Array(repeating: "topic=a", count: 1001).joined(separator: "&")
        #expect(try parse(same).topics == ["a"])
    }

    @Test(
        "An update is private where the field is there",
        arguments: ["private", "private=", "private=on", "private=0", "private=false"])
    func updateIsPrivate(field: String) throws {
        #expect(try parse("topic=a&\(field)").isPrivate)
    }

    @Test(
        "Bad fields are refused and named",
        arguments: [
            ("", "topic"), ("data=x", "topic"), ("topic=", "topic"), ("topic=a&topic=%0A", "topic"),
            ("topic=a&id=%00", "id"), ("topic=a&id=a%0Ab", "id"), ("topic=a&type=a%0D", "type"),
            ("topic=a&retry=-1", "retry"), ("topic=a&retry=1.5", "retry"), ("topic=a&retry=%2B1", "retry"),
            ("topic=a&retry=99999999999999999999", "retry"), ("topic=a&retry=86400001", "retry"),
            ("topic=a&id=earliest", "id"), ("topic=a&id=+x", "id"), ("topic=a&type=gap", "type"),
        ])
    func badFieldsAreRefused(text: String, field: String) {
        #expect(problem(text)?.statusCode == 400)
        #expect(problem(text)?.field == field)
    }

    @Test("Limits hold at their edges")
    func limitsHoldAtTheirEdges() throws {
        let topics = (0..<1000).map { "topic=\($0)" }.joined(separator: "&")
        #expect(try parse(topics).topics.count == 1000)
        #expect(problem(topics + "&topic=a")?.field == "topic")
        let long = String(repeating: "a", count: 1024)
        #expect(try parse("topic=\(long)&id=\(long)").id == long)
        #expect(problem("topic=\(long)a")?.statusCode == 400)
        #expect(problem("topic=a&id=\(long)a")?.statusCode == 400)
        let data = String(repeating: "a", count: 1024 * 1024)
        #expect(try parse("topic=a&data=" + data).data == data)
        #expect(problem("topic=a&data=a" + data)?.statusCode == 413)
        #expect(MercureProblem(MartletError(.tooLarge, "")).statusCode == 413)
        #expect(MercureProblem(MartletError(.overloaded, "")).statusCode == 503)
    }

    @Test("Topics of the hub's own are forbidden, among others too")
    func topicsOfTheHubS() {
        #expect(problem("topic=/.well-known/mercure")?.statusCode == 403)
        #expect(problem("topic=a&topic=b&topic=/.well-known/%256Dercure/x")?.field == "topic")
    }
}
