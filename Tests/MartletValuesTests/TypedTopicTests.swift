// SPDX-License-Identifier: Apache-2.0

import Foundation
import Martlet
import MartletValues
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct TypedTopicTests {
    private let orders = TypedTopic<Order>("orders/42")

    @Test("A value is JSON on one line, the same text for the same value")
    func valueIsJSONOnOne() async throws {
        try await quickHub().whileRunning { hub in
            try await hub.subscribe(to: "orders/42") { events in
                let id = try await hub.publish(Order(number: 1), to: "orders/42", type: "order")
                try await hub.publish([1, 2], to: "orders/42")
                let read = try await events.first(2)
                #expect(
                    read[0].data
                        == #"{"amount":1.5,"note":"two\nlines","number":1,"path":"a/b","time":"2026-11-24T18:00:00.250Z"}"#
                )
                #expect(read[0].type == "order" && read[0].id == id)
                #expect(read[1].data == "[1,2]" && read[1].type == nil)
            }
        }
    }

    @Test("A string is published as it is, and as JSON where the topic is one of strings")
    func stringIsPublished() async throws {
        try await quickHub().whileRunning { hub in
            try await hub.subscribe(to: "a") { events in
                try await hub.publish("shipped", to: "a")
                try await hub.publish("shipped", to: "a", type: "news")
                try await hub.publish("shipped", to: TypedTopic<String>("a"))
                #expect(try await events.first(3).map(\.data) == ["shipped", "shipped", #""shipped""#])
            }
        }
    }

    @Test("Times come back to the millisecond, and as the same text")
    func timesComeBack() throws {
        var random = SeededGenerator(seed: 1)
        let edges = [-62_135_596_800, -1, -0.001, 0, 1.1, 1_795_543_200.999, 253_402_300_799.998]
        let times =
            edges + (0..<1000).map { _ in (Double.random(in: -1e10...1e10, using: &random) * 1000).rounded() / 1000 }
        for time in times {
            let date = Date(timeIntervalSince1970: time)
            let text = try EventJSON.text(of: date)
            let read = try EventJSON.value(Date.self, of: text)
            #expect(abs(read.timeIntervalSince(date)) < 0.0005, "\(text)")
            #expect(try EventJSON.text(of: read) == text)
        }
        #expect(
            try EventJSON.value(Date.self, of: #""2026-11-24T20:00:00+02:00""#).timeIntervalSince1970 == 1_795_543_200)
    }

    @Test("A value that JSON cannot hold is refused with an error that does not show it, and is not published")
    func whatCannotBeWritten()
        async throws
    {
        try await quickHub().whileRunning { hub in
            let before = try await hub.publish("before", to: "orders/42")
            for time in [Double.nan, .infinity, 1e300, -1e15, 253_402_300_800] {
                await #expect(throws: EventValueError.self) {
                    try await hub.publish(Date(timeIntervalSince1970: time), to: "orders/42")
                }
            }
            await #expect { try await hub.publish(Order(number: 1, amount: .nan), to: orders) } throws: {
                let error = $0 as? EventValueError
                return error?.code == .notEncodable && error?.topic == "orders/42" && error?.id == nil
                    && error?.message.contains("Order") == true
            }
            await #expect { try await hub.publish(Unwilling(), to: "orders/42") } throws: {
                ($0 as? EventValueError)?.code == .notEncodable && !"\($0)".contains("tell-nobody")
            }
            await #expect(throws: MartletError.self) { try await hub.publish([1], to: "orders/42", type: "gap") }
            try await hub.subscribe(to: "orders/42", after: before) { events in
                try await hub.publish("after", to: "orders/42")
                #expect(try await events.first(1)[0].data == "after")
            }
        }
    }

    @Test("Publisher and subscriber agree on the type, and a subscriber goes on after an id")
    func publisherAndSubscriberAgree() async throws {
        try await quickHub().whileRunning { hub in
            let values = [Order(number: 1), Order(number: 2), Order(number: 3)]
            let first = try await hub.subscribe(to: orders) { events in
                for value in values { try await hub.publish(value, to: orders, type: "order") }
                let read = try await events.first(3)
                #expect(read.map(\.value) == values)
                #expect(read[0].type == "order")
                return read[0].id
            }
            let rest = try await hub.subscribe(to: orders, after: first) { try await $0.first(2) }
            #expect(rest.map(\.value) == [values[1], values[2]])
            let all = try await hub.subscribe(to: orders, since: .seconds(3600)) { try await $0.first(3) }
            #expect(all.map(\.value) == values)
            let named = try TypedTopic<Order>(Topic("orders/\(42)"))
            #expect(named == orders)
        }
    }

    @Test("An event that is not a value ends the loop, and a reader that subscribes after its id continues behind it")
    func whatIsNoSuchValue() async throws {
        try await quickHub().whileRunning { hub in
            try await hub.publish(Order(number: 1), to: orders)
            let bad = try await hub.publish(["secret": 2], to: "orders/42")
            try await hub.publish(Order(number: 3), to: orders)
            var numbers: [Int] = []
            var failure: EventValueError?
            do {
                try await hub.subscribe(to: orders, after: "earliest") { events in
                    for try await event in events { numbers.append(event.value.number) }
                }
            } catch let error as EventValueError { failure = error }
            #expect(numbers == [1])
            #expect(failure?.code == .notDecodable && failure?.topic == "orders/42" && failure?.id == bad)
            #expect(failure?.message.contains("secret") == false)
            let rest = try await hub.subscribe(to: orders, after: failure?.id) { try await $0.first(1) }
            #expect(rest[0].value.number == 3)
        }
    }

    @Test("A gap ends the loop, and who subscribes after its id misses nothing more")
    func gapEndsTheLoop() async throws {
        try await quickHub(retention: Retention(events: 2)).whileRunning { hub in
            let seen = try await hub.publish(Order(number: 1), to: orders)
            var last = ""
            for number in 2...5 { last = try await hub.publish(Order(number: number), to: orders) }
            _ = try await hub.end(covering: Position(last))
            try await hub.publish("trims", to: "other")
            var failure: EventValueError?
            do {
                try await hub.subscribe(to: orders, after: seen) { _ = try await $0.first(1) }
            } catch let error as EventValueError { failure = error }
            #expect(failure?.code == .gap && failure?.topic == "orders/42")
            let rest = try await hub.subscribe(to: orders, after: failure?.id) { try await $0.first(1) }
            #expect(rest[0].value.number == 5)
        }
    }
}
