// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Martlet

@Suite struct AnnouncementTests {
    @Test("An announcement reaches the present subscribers in order, and is not in history")
    func announcementReachesWhoIsThere() async throws {
        try await withHub { hub in
            try await hub.subscribe(to: "a") { events in
                let before = try await hub.publish("1", to: "a")
                // Read first, so that the announcement comes after it for sure.
                var iterator = events.makeAsyncIterator()
                #expect(try await iterator.next()?.data == "1")
                await hub.announce([Event(topic: "a", data: "hello")])
                await hub.announce([Event(topic: "b", data: "other")])
                await hub.announce([Event(topic: "a", data: "secret", isPrivate: true)])
                try await hub.publish("2", to: "a")
                let announced = try await iterator.next()
                #expect(announced?.data == "hello")
                #expect(announced?.id == before)
                #expect(try await iterator.next()?.data == "2")
            }
            #expect(try await read(2, from: hub, to: ["a"], after: "earliest").map(\.data) == ["1", "2"])
        }
    }

    @Test("Resuming from an announcement goes on after the event before it")
    func resumingFromAnAnnouncementGoes() async throws {
        try await withHub { hub in
            try await hub.subscribe(to: "a") { events in
                var iterator = events.makeAsyncIterator()
                try await hub.publish("1", to: "a")
                _ = try await iterator.next()
                await hub.announce([Event(topic: "a", data: "hello")])
                let id = try #require(try await iterator.next()).id
                try await hub.publish("2", to: "a")
                #expect(try await iterator.next()?.data == "2")
                // Whoever is still here keeps the announcement in its feed, and may see it again.
                let again = try await read(2, from: hub, to: ["a"], after: id).map(\.data)
                #expect(again == ["hello", "2"])
            }
            let id = try #require(try await read(1, from: hub, to: ["a"], after: "earliest").first).id
            #expect(try await read(1, from: hub, to: ["a"], after: id).map(\.data) == ["2"])
        }
    }

    @Test("A client that resumes where an announcement was made receives it from an existing feed")
    func whoResumesWhereAnAnnouncement() async throws {
        try await withHub { hub in
            try await hub.subscribe(to: "a") { events in
                var iterator = events.makeAsyncIterator()
                try await hub.publish("1", to: "a")
                _ = try await iterator.next()
                // Of another topic: the feed has no event at the position of the announcement.
                let id = try await hub.publish(numbers: 0..<1, to: "b")[0]
                await hub.announce([Event(topic: "a", data: "hello")])
                await hub.announce([Event(topic: "a", data: "again")])
                #expect(try await read(2, from: hub, to: ["a"], after: id).map(\.data) == ["hello", "again"])
            }
        }
    }
}
