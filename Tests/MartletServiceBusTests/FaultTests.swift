// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Foundation
import Logging
import Martlet
import MartletSQLite
import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import MartletServiceBus

@Suite("Faults of a Service Bus topic", .timeLimit(.minutes(10)), .serialized)
struct FaultTests {
    private static func events(_ numbers: Range<Int>) -> [Event] { numbers.map { Event(topic: "t", data: "\($0)") } }

    /// Reads everything in history, once there are so many events.
    private func read(_ count: Int, of log: ServiceBusLog) async throws -> [String] {
        var data: [String] = []
        var place = Position.earliest
        while data.count < count {
            let slice = try await log.tail(after: place, limit: SliceLimit())
            data += slice.records.map(\.event.data)
            place = slice.end
        }
        return data
    }

    @Test("A missing subscription, a missing topic and a wrong key end the start with an error that says so")
    func missing() async throws {
        try await Nodes.with { nodes in
            let log = nodes.log("nobody")
            await #expect {
                _ = try await log.open()
            } throws: { error in
                guard case .notFound(let address, _)? = error as? ServiceBusLogError else { return false }
                return address == "\(nodes.topic)/Subscriptions/nobody"
            }
            let keys: [ServiceBusLogConfiguration.Credentials] = [
                .plain(user: "RootManageSharedAccessKey", password: "wrong"),
                .sharedAccessKey(name: "RootManageSharedAccessKey", key: "wrong"),
            ]
            for credentials in keys {
                let log = nodes.log { $0.credentials = credentials }
                await #expect {
                    _ = try await log.open()
                } throws: { error in
                    if case .unauthorized? = error as? ServiceBusLogError { true } else { false }
                }
                await log.close()
            }
        }
    }

    @Test("Tokens are renewed before they end")
    func tokens() async throws {
        let bus = try BusDouble()
        try await Nodes.with(bus) { nodes in
            let log = nodes.log {
                $0.credentials = .sharedAccessKey(name: "RootManageSharedAccessKey", key: "test+key/=")
                $0.tokenLifetime = .seconds(6)
            }
            _ = try await log.open()
            let first = try #require(try bus.call("get", ["name": "tokens"]) as? Int)
            while try #require(try bus.call("get", ["name": "tokens"]) as? Int) < first + 2 {
                _ = try await log.append(Self.events(0..<1))
            }
            #expect(try bus.call("get", ["name": "connections"]) as? Int == 2)
        }
    }

    @Test("A broker that goes away and comes back has lost nothing, and nothing comes twice")
    func away() async throws {
        let bus = try BusDouble()
        try await Nodes.with(bus) { nodes in
            let log = nodes.log()
            _ = try await log.open()
            for round in 0..<5 {
                try bus.call(round % 2 == 0 ? "cut" : "close_connections")
                _ = try await log.append(Self.events(2 * round..<2 * round + 1))
                try bus.call("stop")
                async let published = log.append(Self.events(2 * round + 1..<2 * round + 2))
                try bus.call("start")
                _ = try await published
            }
            #expect(try await read(10, of: log) == (0..<10).map { "\($0)" })
        }
    }

    @Test("An event whose acceptance or settlement is lost is delivered once")
    func lost() async throws {
        let bus = try BusDouble()
        try await Nodes.with(bus, lockDuration: 0.3) { nodes in
            let log = nodes.log()
            _ = try await log.open()
            for number in 0..<10 {
                try bus.call(number % 2 == 0 ? "lose_acceptances" : "lose_settlements", ["count": 1])
                _ = try await log.append(Self.events(number..<number + 1))
            }
            #expect(try await read(10, of: log) == (0..<10).map { "\($0)" })
            // The locks of what was stored and not settled run out, and it is dropped.
            try await until { try bus.call("waiting", ["entity": "\(nodes.topic)/Subscriptions/a"]) as? Int == 0 }
            _ = try await log.append(Self.events(10..<11))
            #expect(try await read(11, of: log) == (0..<11).map { "\($0)" })
        }
    }

    @Test("A broker that has too much to do is asked again, and then publishing says so")
    func throttled() async throws {
        try await Nodes.with { nodes in
            let log = nodes.log { $0.patience = .seconds(1) }
            _ = try await log.open()
            try nodes.bus.call("throttle", ["entity": nodes.topic, "sends": 3])
            _ = try await log.append(Self.events(0..<1))
            try nodes.bus.call("throttle", ["entity": nodes.topic, "sends": 1_000_000])
            await #expect {
                _ = try await log.append(Self.events(1..<2))
            } throws: { error in
                (error as? MartletError)?.code == .overloaded
            }
            try nodes.bus.call("throttle", ["entity": nodes.topic, "sends": 0])
            _ = try await log.append(Self.events(2..<3))
            #expect(try await read(2, of: log) == ["0", "2"])
        }
    }

    @Test("What another connection has locked comes in its order")
    func locked() async throws {
        try await Nodes.with(subscriptions: 2, lockDuration: 1) { nodes in
            let publisher = nodes.log("b")
            _ = try await publisher.open()
            let node = ServiceBusNode(
                nodes.bus.configuration(nodes.topic), store: nodes.store("other"),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            // A connection takes two messages, and does not settle them.
            let (connection, _) = try node.connect(as: "other", within: .seconds(5))
            let receiver = try connection.receiver(from: "\(nodes.topic)/Subscriptions/a", within: .seconds(5))
            receiver.give(credit: 2)
            for number in 0..<2 { _ = try await publisher.append(Self.events(number..<number + 1)) }
            var taken = 0
            while taken < 2 { taken += try receiver.take(within: .seconds(5)).count }
            for number in 2..<5 { _ = try await publisher.append(Self.events(number..<number + 1)) }
            let log = nodes.log("a")
            _ = try await log.open()
            #expect(try await read(5, of: log) == ["0", "1", "2", "3", "4"])
        }
    }

    @Test("A dead connection that still takes messages changes no order, and nothing is lost")
    func zombie() async throws {
        try await Nodes.with(subscriptions: 2, lockDuration: 1) { nodes in
            let publisher = nodes.log("b")
            _ = try await publisher.open()
            let node = ServiceBusNode(
                nodes.bus.configuration(nodes.topic), store: nodes.store("other"),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let (connection, _) = try node.connect(as: "other", within: .seconds(5))
            let receiver = try connection.receiver(from: "\(nodes.topic)/Subscriptions/a", within: .seconds(5))
            receiver.give(credit: 3)
            _ = try connection.wait(atMost: .milliseconds(100)) { false }
            let log = nodes.log("a")
            _ = try await log.open()
            for number in 0..<10 { _ = try await publisher.append(Self.events(number..<number + 1)) }
            #expect(try await read(10, of: log) == (0..<10).map { "\($0)" })
        }
    }

    @Test("One event costs one send, and one delivery and settlement for each node")
    func costs() async throws {
        try await Nodes.with(subscriptions: 2) { nodes in
            let logs = ["a", "b"].map { nodes.log($0) }
            for log in logs { _ = try await log.open() }
            for number in 0..<5 { _ = try await logs[number % 2].append(Self.events(number..<number + 1)) }
            for log in logs { #expect(try await read(5, of: log) == (0..<5).map { "\($0)" }) }
            for log in logs { await log.close() }
            #expect(try nodes.bus.count("sends", of: nodes.topic) == 5)
            for name in ["a", "b"] {
                #expect(try nodes.bus.count("delivered", of: "\(nodes.topic)/Subscriptions/\(name)") == 5)
                #expect(try nodes.bus.count("settled", of: "\(nodes.topic)/Subscriptions/\(name)") == 5)
            }
        }
    }

    @Test("A key that is used on two nodes at the same time publishes once")
    func keys() async throws {
        try await Nodes.with(subscriptions: 2) { nodes in
            let logs = ["a", "b"].map { nodes.log($0) }
            for log in logs { _ = try await log.open() }
            for number in 0..<10 {
                let event = Self.events(number..<number + 1)
                async let one = logs[0].append(event, once: "key \(number)")
                async let other = logs[1].append(event, once: "key \(number)")
                let (a, b) = try await (one, other)
                #expect(a == b)
            }
            for log in logs { #expect(try await read(10, of: log) == (0..<10).map { "\($0)" }) }
            await #expect(throws: MartletError.keyReused) {
                _ = try await logs[1].append(Self.events(5..<6), once: "key 0")
            }
        }
    }

    @Test("A store that fails loses nothing, and the log says so")
    func failingStore() async throws {
        try await Nodes.with(subscriptions: 2) { nodes in
            let publisher = nodes.log("b")
            _ = try await publisher.open()
            let store = FailingLog(nodes.store("a"))
            let log = nodes.log("a", in: store)
            _ = try await log.open()
            store.fails = true
            for number in 0..<20 { _ = try await publisher.append(Self.events(number..<number + 1)) }
            try await until { log.fault != nil }
            store.fails = false
            #expect(try await read(20, of: log) == (0..<20).map { "\($0)" })
            try await until { log.fault == nil }
        }
    }
}

/// A store that can be told to refuse everything.
private final class FailingLog: EmbeddedLog, WrappingLog {
    let file: SQLiteLog
    private let failing = Atomic(false)

    init(_ file: SQLiteLog) { self.file = file }

    var log: any Log { file }
    var fails: Bool {
        get { failing.load(ordering: .acquiring) }
        set { failing.store(newValue, ordering: .releasing) }
    }

    var offsets: Range<UInt64> { file.offsets }
    var hasRoom: Bool { file.hasRoom }
    func makeRoom() { file.makeRoom() }
    func position(at offset: UInt64) -> Position { file.position(at: offset) }
    func offset(of position: Position) -> UInt64? { file.offset(of: position) }

    func append(
        inOrder publishes: [(events: [Event], key: String)],
        answered: @escaping @Sendable (Int, Result<UInt64, any Error>) -> Void
    ) {
        guard fails else { return file.append(inOrder: publishes, answered: answered) }
        let error = MartletError(.storageFull, "full")
        for number in publishes.indices { answered(number, .failure(error)) }
    }

    func forEachPublish(_ body: @escaping @Sendable (UInt64, Int, String) -> Void) async throws {
        try await file.forEachPublish(body)
    }
}
#endif
