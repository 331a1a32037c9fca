// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet
import MartletHTTP
import Testing

@testable import MartletMercure

@Suite struct SubscribeQueryTests {
    private func request(_ query: String, header: String? = nil) -> HubRequest {
        var headers: HTTPFields = [:]
        headers[.lastEventID] = header
        return HubRequest(target: "/?\(query)", headers: headers)
    }

    private func parse(_ query: String) throws -> SubscribeQuery { try SubscribeQuery(request(query)) }

    @Test("Selectors are read in their order, each once")
    func selectorsAreReadInTheir() throws {
        let query = try parse("topic=a&topic=%7Bid%7D&topic=a&topic=*&x=1")
        #expect(query.selectors.map(\.text) == ["a", "{id}", "*"])
    }

    @Test("A subscription needs topics", arguments: ["", "x=1", "topic=", "topic=%00", "topic=a&topic=", "Topic=a"])
    func subscriptionNeedsTopics(text: String) {
        let problem = #expect(throws: MercureProblem.self) { try parse(text) }
        #expect(problem?.statusCode == 400 && problem?.field == "topic")
    }

    @Test("Topics are bounded in number and length")
    func topicsAreBoundedInNumber() throws {
        let most = (0..<1000).map { "topic=\($0)" }.joined(separator: "&")
        #expect(try parse(most).selectors.count == 1000)
        #expect(throws: MercureProblem.self) { try parse(most + "&topic=x") }
        let long = "topic=" + String(repeating: "a", count: 1024)
        #expect(try parse(long).selectors.count == 1)
        #expect(throws: MercureProblem.self) { try parse(long + "a") }
    }

    @Test("The header wins over the query, and the names of the query have an order")
    func headerWinsOverTheQuery() throws {
        let all = "topic=a&Last-Event-ID=3&last_event_id=2&lastEventID=1"
        #expect(try request(all, header: "0").lastEventID?.id == "0")
        #expect(try request(all, header: "").lastEventID?.id == "1")
        #expect(try request("topic=a&Last-Event-ID=3&last_event_id=2").lastEventID?.id == "2")
        #expect(try request("topic=a&Last-Event-ID=3&lastEventID=").lastEventID?.id == "3")
        #expect(try request("topic=a").lastEventID == nil)
        #expect(throws: MercureProblem.self) { try parse("topic=a&lastEventID=%0A") }
    }

    @Test(
        "Parameters of the next version are refused",
        arguments: ["match", "match_exact", "matchX", "MATCH_urlpattern", "mAtch"])
    func parametersOfTheNextVersion(name: String) {
        let alone = #expect(throws: MercureProblem.self) { try parse("\(name)=a") }
        #expect(alone?.statusCode == 400 && alone?.field == name)
        let mixed = #expect(throws: MercureProblem.self) { try parse("topic=a&\(name)=a") }
        #expect(mixed?.statusCode == 400 && mixed?.message != alone?.message)
    }
}
