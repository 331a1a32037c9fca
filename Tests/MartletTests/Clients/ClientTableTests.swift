// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import Martlet

@Suite("Limits of clients")
struct ClientTableTests {
    private static func table(_ configure: (inout ClientLimits) -> Void) -> ClientTable {
        var limits = ClientLimits()
        configure(&limits)
        return ClientTable(limits)
    }

    private static func client(_ principal: String?, _ address: String? = nil) throws -> ClientIdentity {
        ClientIdentity(principal: principal, address: try address.map { try SocketAddress(ipAddress: $0, port: 1) })
    }

    private static func events(_ count: Int) -> [Event] {
        (0..<count).map { _ in Event(topic: "a", data: "123456789") }
    }

    // MARK: What is open

    @Test("A principal and an address have as many streams as they may, and a place is free again when it is released")
    func streams() throws {
        let table = Self.table { ($0.streamsPerPrincipal, $0.streamsPerAddress) = (2, 3) }
        var places = try (0..<2).map { _ in try table.openStream(of: Self.client("alice", "192.0.2.1")) }
        #expect(throws: ClientRefusal(limit: .streamsPerPrincipal, most: 2)) {
            try table.openStream(of: Self.client("alice", "192.0.2.2"))
        }
        places.append(try table.openStream(of: Self.client("bob", "192.0.2.1")))
        #expect(throws: ClientRefusal(limit: .streamsPerAddress, most: 3)) {
            try table.openStream(of: Self.client("bob", "192.0.2.1"))
        }
        // A refusal has taken no place of the principal either.
        let more = try [table.openStream(of: Self.client("bob")), table.openStream(of: Self.client(nil, "192.0.2.2"))]
        #expect(throws: ClientRefusal.self) { try table.openStream(of: Self.client("bob")) }
        #expect(table.count() == 4)
        places.removeFirst()
        places.append(try table.openStream(of: Self.client("alice", "192.0.2.1")))
        withExtendedLifetime(more) {}
    }

    @Test("Nothing is counted when all places are given back, and nothing without a limit")
    func released() throws {
        let table = Self.table { ($0.streamsPerPrincipal, $0.connectionsPerAddress) = (5, 5) }
        do {
            let streams = try (0..<5).map { try table.openStream(of: Self.client("alice", "192.0.2.\($0)")) }
            let connections = try (0..<5).map { try table.openConnection(of: Self.client(nil, "192.0.2.\($0)")) }
            #expect(table.count() == 6)
            withExtendedLifetime((streams, connections)) {}
        }
        #expect(table.count() == 0)
        let open = Self.table { _ in }
        #expect(try open.openStream(of: Self.client("alice", "192.0.2.1")).isEmpty)
        #expect(try open.openConnection(of: Self.client(nil, "192.0.2.1")) == nil)
        try open.spend(on: Self.events(1_000_000), by: Self.client("alice", "192.0.2.1"))
        #expect(open.count() == 0)
    }

    @Test("The addresses of a /64 are one client, and so are all clients on Unix domain sockets")
    func addresses() throws {
        let table = Self.table { $0.connectionsPerAddress = 1 }
        let first = try table.openConnection(of: Self.client(nil, "2001:db8::1"))
        #expect(throws: ClientRefusal.self) { try table.openConnection(of: Self.client(nil, "2001:db8::ffff:1")) }
        let second = try table.openConnection(of: Self.client(nil, "2001:db8:0:1::1"))
        let third = try table.openConnection(of: Self.client(nil, "192.0.2.1"))
        #expect(throws: ClientRefusal.self) { try table.openConnection(of: Self.client(nil, "::ffff:192.0.2.1")) }
        let unix = ClientIdentity(address: try SocketAddress(unixDomainSocketPath: "/a"))
        let fourth = try table.openConnection(of: unix)
        #expect(throws: ClientRefusal.self) { try table.openConnection(of: unix) }
        // An address that is not known has no limit.
        #expect(try table.openConnection(of: Self.client(nil)) == nil)
        withExtendedLifetime((first, second, third, fourth)) {}
    }

    @Test("Principals are told apart byte for byte, however long their names are")
    func principals() throws {
        let long = String(repeating: "a", count: 100_000)
        #expect(ClientKey(principal: long) == ClientKey(principal: long))
        #expect(ClientKey(principal: long) != ClientKey(principal: long + "b"))
        #expect(ClientKey(principal: "\u{E9}") != ClientKey(principal: "e\u{301}"))
        #expect(ClientKey(principal: "") != ClientKey(try SocketAddress(ipAddress: "::", port: 1)))
    }

    // MARK: Publishing

    @Test("A client publishes a burst at once, and then at its rate")
    func rate() throws {
        let table = Self.table { $0.publishRatePerPrincipal = ClientRate(perSecond: 2, burst: 5) }
        let (alice, start) = (try Self.client("alice"), ContinuousClock.now)
        func spend(_ count: Int, at seconds: Double) throws {
            try table.spend(on: Self.events(count), by: alice, now: start + .seconds(seconds))
        }
        for _ in 0..<5 { try spend(1, at: 0) }
        let refusal = ClientRefusal(limit: .publishRatePerPrincipal, most: 2, wait: .milliseconds(500))
        #expect(throws: refusal) { try spend(1, at: 0) }
        #expect(throws: ClientRefusal.self) { try spend(1, at: 0.499) }
        // What the refusal has said is true.
        try spend(1, at: 0.5)
        #expect(throws: ClientRefusal.self) { try spend(1, at: 0.5) }
        #expect(throws: ClientRefusal.self) { try spend(5, at: 2.999) }
        try spend(5, at: 3)
        try table.spend(on: Self.events(5), by: Self.client("bob"), now: start)
        #expect(table.count(now: start + .seconds(3)) == 1)
        #expect(table.count(now: start + .seconds(6)) == 0)
    }

    @Test("A batch above the burst needs a full bucket, and what follows waits the longer")
    func aboveBurst() throws {
        let table = Self.table { $0.publishRatePerAddress = ClientRate(perSecond: 1, burst: 2) }
        let (client, start) = (try Self.client("alice", "192.0.2.1"), ContinuousClock.now)
        try table.spend(on: Self.events(10), by: client, now: start)
        #expect(throws: ClientRefusal(limit: .publishRatePerAddress, most: 1, wait: .seconds(9))) {
            try table.spend(on: Self.events(1), by: client, now: start)
        }
        try table.spend(on: Self.events(1), by: client, now: start + .seconds(9))
        #expect(throws: ClientRefusal.self) {
            try table.spend(on: Self.events(3), by: client, now: start + .seconds(10))
        }
        try table.spend(on: Self.events(3), by: client, now: start + .seconds(11))
    }

    @Test("Bytes are those of the texts of events")
    func bytes() throws {
        // The topic and the data have ten bytes.
        let table = Self.table { $0.publishBytesPerPrincipal = ClientRate(perSecond: 10, burst: 30) }
        let (alice, start) = (try Self.client("alice"), ContinuousClock.now)
        try table.spend(on: Self.events(3), by: alice, now: start)
        #expect(throws: ClientRefusal(limit: .publishBytesPerPrincipal, most: 10, wait: .seconds(1))) {
            try table.spend(on: Self.events(1), by: alice, now: start)
        }
        try table.spend(on: Self.events(1), by: alice, now: start + .seconds(1))
    }

    @Test("A refused publish costs nothing, whichever limit refuses it, and so does one that is given back")
    func allOrNothing() throws {
        let table = Self.table {
            $0.publishRatePerPrincipal = ClientRate(perSecond: 1, burst: 2)
            $0.publishBytesPerPrincipal = ClientRate(perSecond: 1, burst: 1000)
            $0.publishRatePerAddress = ClientRate(perSecond: 1, burst: 10)
            $0.publishBytesPerAddress = ClientRate(perSecond: 10, burst: 20)
        }
        let now = ContinuousClock.now
        try table.spend(on: Self.events(2), by: Self.client(nil, "192.0.2.1"), now: now)
        for _ in 0..<10 {
            #expect(throws: ClientRefusal(limit: .publishBytesPerAddress, most: 10, wait: .seconds(1))) {
                try table.spend(on: Self.events(1), by: Self.client("alice", "192.0.2.1"), now: now)
            }
        }
        let elsewhere = try Self.client("alice", "192.0.2.2")
        for _ in 0..<10 {
            try table.spend(on: Self.events(2), by: elsewhere, now: now)
            table.giveBack(for: Self.events(2), to: elsewhere, now: now)
        }
        try table.spend(on: Self.events(2), by: elsewhere, now: now)
        #expect(throws: ClientRefusal.self) { try table.spend(on: Self.events(1), by: elsewhere, now: now) }
    }

    @Test("The largest rates and bursts do not overflow")
    func largest() throws {
        #expect(ClientRate(perSecond: .max).burst == .max)
        #expect(ClientRate(perSecond: 0, burst: 0) == ClientRate(perSecond: 1, burst: 1))
        for rate in [ClientRate(perSecond: .max), ClientRate(perSecond: 1, burst: .max)] {
            let table = Self.table { ($0.publishRatePerPrincipal, $0.publishBytesPerPrincipal) = (rate, rate) }
            for _ in 0..<3 { try table.spend(on: Self.events(1000), by: Self.client("alice")) }
        }
    }

    // MARK: Memory

    @Test(
        "However many addresses publish, no more than the most are remembered, and the latest are",
        arguments: [2, 1000, 16_384])
    func manyAddresses(most: Int) throws {
        let table = Self.table {
            $0.publishRatePerAddress = ClientRate(perSecond: 1, burst: 1)
            $0.rememberedClients = most
        }
        let now = ContinuousClock.now
        func client(_ number: Int) throws -> ClientIdentity {
            try Self.client(nil, "10.\(number >> 16).\(number >> 8 & 255).\(number & 255)")
        }
        for number in 0..<100_000 {
            try table.spend(on: Self.events(1), by: client(number), now: now)
            // Those that have just published are known.
            #expect(throws: ClientRefusal.self) { try table.spend(on: Self.events(1), by: client(number), now: now) }
            if number % 10_000 == 0 { #expect(table.count(now: now) <= most) }
        }
        #expect(table.count(now: now) <= most)
        #expect(table.count(now: now) > most / 4)
        #expect(table.count(now: now + .seconds(1)) == 0)
    }

    @Test("Buckets that are full make room before any other")
    func fullFirst() throws {
        let table = Self.table {
            $0.publishRatePerAddress = ClientRate(perSecond: 1, burst: 100)
            $0.rememberedClients = 8
        }
        let start = ContinuousClock.now
        let busy = try Self.client(nil, "192.0.2.1")
        try table.spend(on: Self.events(100), by: busy, now: start)
        for number in 0..<50 {
            // Each is full again when the next one comes.
            let now = start + .seconds(2 * number)
            try table.spend(on: Self.events(1), by: Self.client(nil, "198.51.100.\(number)"), now: now)
        }
        #expect(throws: ClientRefusal.self) {
            try table.spend(on: Self.events(100), by: busy, now: start + .seconds(98))
        }
    }

    @Test("Many threads leave nothing behind")
    func threads() async throws {
        let table = Self.table {
            ($0.streamsPerPrincipal, $0.streamsPerAddress) = (3, 5)
            $0.publishRatePerPrincipal = ClientRate(perSecond: 1_000_000, burst: 10)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    for round in 0..<2000 {
                        let client = try Self.client("\(number % 3)", "192.0.2.\(round % 4)")
                        let places = try? table.openStream(of: client)
                        try? table.spend(on: Self.events(1), by: client)
                        withExtendedLifetime(places) {}
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(table.count(now: .now + .seconds(1)) == 0)
    }
}
