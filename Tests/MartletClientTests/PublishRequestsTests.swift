// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing
import Testing

@testable import MartletClient

@Suite("Requests to publish") struct PublishRequestsTests {
    private func requests(
        _ events: [HubEvent.Source], _ interface: HubClient.Interface = .martlet
    ) throws -> PublishRequests {
        PublishRequests(
            events: events, key: "k", interface: interface, endpoint: try OutgoingURL("http://h/events"),
            headers: ["content-type": "x", "X-Own": "1"])
    }

    /// All requests for all events.
    private func all(_ events: [HubEvent.Source]) throws -> [(request: Request, events: Range<Int>)] {
        let requests = try requests(events)
        var all: [(request: Request, events: Range<Int>)] = []
        var rest = events.indices
        while !rest.isEmpty {
            all.append(try requests.next(of: rest))
            rest = (all.last?.events.upperBound ?? rest.upperBound)..<rest.upperBound
        }
        return all
    }

    private func json(_ count: Int) -> HubEvent.Source { .json(Array(repeating: UInt8(ascii: "x"), count: count)) }

    @Test("Events are a batch of JSON lines")
    func batch() throws {
        let event = HubEvent("x\"\t", to: "a/b", type: "t", retry: 5, key: "k", isPrivate: true)
        let (request, events) = try requests([.event(event), .event(HubEvent("", to: "é", id: "1"))]).next(of: 0..<2)
        #expect(events == 0..<2)
        let lines = [
            #"{"data":"x\"\t","key":"k","private":true,"retry":5,"topic":"a/b","type":"t"}"#,
            #"{"data":"","id":"1","topic":"é"}"#,
        ]
        #expect(request.body == Array(lines.joined(separator: "\n").utf8))
        #expect(request.method == "POST")
        #expect(request.target.text == "http://h/events")
        #expect(request.headers["Content-Type"] == "application/x-ndjson")
        #expect(request.headers["X-Own"] == "1")
    }

    @Test("A batch has at most so many lines")
    func lines() throws {
        let ranges = try all(Array(repeating: json(1), count: 2500)).map(\.events)
        #expect(ranges == [0..<1000, 1000..<2000, 2000..<2500])
    }

    @Test("A batch has at most so many bytes, and at least one line")
    func bytes() throws {
        let half = PublishRequests.maximumBytes / 2
        let all = try all([half, half - 1, 1, 2 * half - 2, 1, 3 * half, 1].map(json))
        #expect(all.map(\.events) == [0..<2, 2..<4, 4..<5, 5..<6, 6..<7])
        #expect(all.allSatisfy { ($0.request.body?.count ?? 0) <= 3 * half })
    }

    @Test("Data that are too large as JSON go alone and as they are")
    func largeData() throws {
        let frame = #"{"data":"","topic":"t"}"#.utf8.count
        let fits = String(repeating: "x", count: PublishRequests.maximumBytes - frame)
        let escaped = String(repeating: "\"", count: PublishRequests.maximumBytes / 2)
        let data = ["a", fits, fits + "x", escaped, "b"]
        let all = try all(data.map { .event(HubEvent($0, to: "t")) })
        #expect(all.map(\.events) == [0..<1, 1..<2, 2..<3, 3..<4, 4..<5])
        #expect(all[0].request.body == Array(#"{"data":"a","topic":"t"}"#.utf8))
        #expect(all[1].request.body?.count == PublishRequests.maximumBytes)
        for index in 2...3 {
            #expect(all[index].request.target.text == "http://h/events/t")
            #expect(all[index].request.body == Array(data[index].utf8))
            #expect(all[index].request.headers["Content-Type"] == "text/plain; charset=utf-8")
        }
    }

    @Test("A line of the greatest length is a request of as many bytes")
    func longestLine() throws {
        let all = try all([json(1), json(1024 * 1024)])
        #expect(all.map { $0.request.body?.count } == [1, 1024 * 1024])
    }

    @Test("Parts of the events have other keys than the whole")
    func keys() throws {
        let requests = try requests(Array(repeating: json(1), count: 4))
        let keys = try [0..<4, 0..<1, 1..<4].map { try requests.next(of: $0).request.headers["Idempotency-Key"] }
        #expect(keys == ["k", "k-1-1", "k-2-4"])
    }

    @Test("An event that goes alone has everything but its data in the URL")
    func url() throws {
        let events = try OutgoingURL("http://h/hub/events")
        #expect(
            try HubEvent("x", to: "a/b \u{E9}").url(below: events).text == "http://h/hub/events/a%2Fb%20%C3%A9")
        let event = HubEvent("x", to: "t", id: "1&2", type: "#", retry: 5, key: "+", isPrivate: true)
        #expect(
            try event.url(below: events).text
                == "http://h/hub/events/t?id=1%262&type=%23&retry=5&key=%2B&private=true")
    }

    @Test("A Mercure hub receives each event as a form")
    func mercure() throws {
        let event = HubEvent("a b", to: "t", alternates: ["u"], id: "1", type: "x", retry: 0, isPrivate: true)
        let requests = try requests([.event(event), .event(HubEvent(to: "v"))], .mercure)
        let forms = try [0..<2, 1..<2].map { try requests.next(of: $0) }
        #expect(forms.map(\.events) == [0..<1, 1..<2])
        #expect(
            forms.map { String(decoding: $0.request.body ?? [], as: UTF8.self) }
                == ["topic=t&topic=u&private=on&data=a%20b&id=1&type=x&retry=0", "topic=v"])
        #expect(forms[0].request.headers["Content-Type"] == "application/x-www-form-urlencoded")
    }

    @Test(
        "Events are posted to the path /events of a hub",
        arguments: [
            ("http://h:8080", "http://h:8080/events"), ("https://h/", "https://h/events"),
            ("http://[::1]:80/hub/", "http://[::1]:80/hub/events"), ("HTTP://h/my-events", "HTTP://h/my-events/events"),
        ])
    func endpoint(url: String, events: String) throws {
        #expect(try HubClient(url).endpoint().text == events)
        #expect(try HubClient(mercure: url).endpoint().text == url)
    }
}
