// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import EventStream
import Foundation
import Glibc
import Hummingbird
import Martlet
import MartletTesting
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import MartletHTTP

/// A front door on real sockets: what clients do to it, and what is left of them.
///
/// `BothWaysTests` compares answers with those of the router, and `DoorTests` moves the clock of a door. Here clients send
/// in pieces, leave at any time, come in crowds, and are there when the server shuts down.
@Suite("A front door with clients of all kinds", .serialized) struct FrontDoorTests {
    // MARK: Requests

    private static func publish(_ data: String, _ fields: String = "") -> [UInt8] {
        WayExchange.post("/events/a", fields, data).bytes
    }

    /// All but the last byte.
    private static func unfinished(_ data: String) -> [UInt8] { Array(publish(data).dropLast()) }

    private static func subscribe(_ target: String = "/events/a", _ fields: String = "") -> [UInt8] {
        WayExchange.get(target, fields).bytes
    }

    /// The door leaves it to the server.
    private static let health = WayExchange.get("/health/live").bytes

    /// The server takes no notice of this field, but the door leaves requests with it to the server.
    private static let pastDoor = "Proxy-Connection: keep-alive\r\n"

    // MARK: Pieces

    @Test("A subscription in two packets begins a stream, wherever the packets part")
    func splitSubscription() async throws {
        try await DoorServer.run { door in
            try await door.hub.publish("kept", to: "a")
            let before = door.witness.count
            let splits = Self.subscribe("/events/a?lastEventID=earliest").splits
            for pieces in splits {
                let client = try PacketClient(port: door.port)
                try await client.send(pieces)
                let text = try await client.receive(through: "data: kept\n\n")
                #expect(statuses(text) == [200] && text.contains("text/event-stream"), "\(pieces[0].count) bytes first")
                #expect(text.ranges(of: "data: ").count == 1, "\(pieces[0].count) bytes first")
                client.close()
            }
            try await door.expectNothingLeft()
            #expect(door.witness.count - before < splits.count, "The door begins no stream.")
        }
    }

    @Test("A publish in two packets is appended once and answered, wherever the packets part")
    func splitPublish() async throws {
        try await DoorServer.run { door in
            let numbers = 100..<100 + Self.publish("100").splits.count
            let before = door.witness.count
            var ids: [String] = []
            for (index, number) in numbers.enumerated() {
                let client = try PacketClient(port: door.port)
                try await client.send(Self.publish("\(number)").splits[index])
                let text = try await client.receive(answers: 1)
                #expect(statuses(text) == [200], "\(index + 1) bytes first")
                ids += bodies(text)
                client.close()
            }
            let history = try await door.history()
            #expect(history.map(\.event.data) == numbers.map { "\($0)" })
            #expect(history.map { "\($0.id)\n" } == ids)
            try await door.expectNothingLeft()
            #expect(door.witness.count - before < numbers.count, "The door answers no publish.")
        }
    }

    @Test("A request for the server in two packets reaches it once, wherever the packets part")
    func splitHandOver() async throws {
        try await DoorServer.run { door in
            let before = door.witness.count
            let splits = Self.health.splits
            for pieces in splits {
                let client = try PacketClient(port: door.port)
                try await client.send(pieces)
                #expect(statuses(try await client.receive(through: "alive\n")) == [200])
            }
            #expect(door.witness.count - before == splits.count)
            try await door.expectNothingLeft()
        }
    }

    @Test("Pipelined requests in two packets are answered in their order, wherever the packets part")
    func splitPipeline() async throws {
        try await DoorServer.run { door in
            func requests(_ number: Int) -> [UInt8] {
                Self.publish("first \(100 + number)") + Self.publish("second \(100 + number)") + Self.health
                    + Self.publish("third \(100 + number)")
            }
            let numbers = 0..<requests(0).splits.count
            var ids: [String] = []
            for (index, number) in numbers.enumerated() {
                let client = try PacketClient(port: door.port)
                try await client.send(requests(number).splits[index])
                client.finish()
                let text = try await client.receiveAll()
                #expect(statuses(text) == [200, 200, 200, 200], "\(index + 1) bytes first")
                let found = bodies(text)
                #expect(found.count == 4 && found.dropFirst(2).first == "alive\n", "\(index + 1) bytes first")
                ids += found.filter { $0 != "alive\n" }
                client.close()
            }
            let history = try await door.history()
            let expected = numbers.flatMap { number in ["first", "second", "third"].map { "\($0) \(100 + number)" } }
            #expect(history.map(\.event.data) == expected)
            #expect(history.map { "\($0.id)\n" } == ids)
            try await door.expectNothingLeft()
        }
    }

    @Test("Requests that come byte by byte are answered")
    func byteByByte() async throws {
        try await DoorServer.run { door in
            let client = try PacketClient(port: door.port)
            // The first is in so many pieces that the server gets the connection, and the others with it.
            for number in 0..<2 {
                try await client.send(Self.publish("\(number)").map { [$0] })
                try await client.receive(answers: number + 1)
            }
            try await client.send(Self.health.map { [$0] })
            #expect(statuses(try await client.receive(through: "alive\n")) == [200, 200, 200])
            try await client.send(Self.subscribe("/events/a?lastEventID=earliest").map { [$0] })
            #expect(statuses(try await client.receive(through: "data: 1\n\n")) == [200, 200, 200, 200])
            #expect(try await door.history().map(\.event.data) == ["0", "1"])
            client.reset()
            try await door.expectNothingLeft()
        }
    }

    // MARK: Leaving

    enum Leave: CaseIterable {
        /// A FIN, and what the server sends is received.
        case finish
        case close
        /// A RST.
        case reset
    }

    /// How far a client comes before it leaves.
    struct Stage: CustomTestStringConvertible, Sendable {
        let testDescription: String
        /// The data of a publish is `DATA`, and there is one at most.
        let text: String
        /// How many answers are due.
        let answers: Int
        var isStream = false

        var publishes: Bool { text.contains("\r\n\r\nDATA") }

        func bytes(_ data: String) -> [UInt8] { Array(text.replacing("DATA", with: data).utf8) }

        /// The data has four bytes.
        static let all: [Stage] = {
            let head = "POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"
            let chunked = "POST /events/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            let health = String(decoding: FrontDoorTests.health, as: UTF8.self)
            let stream = String(decoding: FrontDoorTests.subscribe(), as: UTF8.self)
            let past = String(decoding: FrontDoorTests.subscribe("/events/a", pastDoor), as: UTF8.self)
            return [
                Stage(testDescription: "before a byte", text: "", answers: 0),
                Stage(testDescription: "inside the method", text: "GE", answers: 0),
                Stage(testDescription: "inside a field", text: "GET /events/a HTTP/1.1\r\nHost: loc", answers: 0),
                Stage(testDescription: "behind a head", text: head, answers: 0),
                Stage(testDescription: "inside a body", text: head + "DA", answers: 0),
                Stage(testDescription: "behind a publish", text: head + "DATA", answers: 1),
                Stage(testDescription: "inside the request behind", text: head + "DATA" + "POST /ev", answers: 1),
                Stage(testDescription: "inside the body behind", text: head + "DATA" + head + "x", answers: 1),
                Stage(testDescription: "inside a head for the server", text: "GET /health/li", answers: 0),
                Stage(testDescription: "behind a request for the server", text: health, answers: 1),
                Stage(testDescription: "behind pipelined requests", text: health + head + "DATA" + health, answers: 3),
                Stage(testDescription: "inside a request behind them", text: head + "DATA" + health + "GE", answers: 2),
                Stage(testDescription: "inside a chunk", text: chunked + "4\r\nx", answers: 0),
                Stage(testDescription: "inside a stream", text: stream, answers: 1, isStream: true),
                Stage(
                    testDescription: "inside a stream of HTTP/1.0",
                    text: stream.replacing("HTTP/1.1", with: "HTTP/1.0"), answers: 1, isStream: true),
                Stage(
                    testDescription: "inside a later stream", text: head + "DATA" + stream, answers: 2, isStream: true),
                Stage(testDescription: "inside a stream of the server", text: past, answers: 1, isStream: true),
            ]
        }()
    }

    @Test("A client that leaves at any stage leaves nothing behind, and is answered up to there", arguments: Stage.all)
    func leaving(stage: Stage) async throws {
        try await DoorServer.run { door in
            var certain: [String] = []
            var number = 1000
            for round in 0..<4 {
                for (leave, waits) in Leave.allCases.flatMap({ [($0, true), ($0, false)] }) {
                    number += 1
                    let comment: Comment = "\(leave), waits: \(waits), round \(round)"
                    let client = try PacketClient(port: door.port)
                    try await client.send([stage.bytes("\(number)")])
                    if waits {
                        try await client.receive(answers: stage.answers - (stage.isStream ? 1 : 0))
                        if stage.isStream { _ = try await client.receive(through: "\nid: ") }
                        try await until { client.isRead }
                    }
                    if stage.publishes, waits || leave == .finish { certain.append("\(number)") }
                    switch leave {
                    case .finish:
                        client.finish()
                        let found = statuses(try await client.receiveAll())
                        #expect(found.prefix(stage.answers).allSatisfy { $0 == 200 }, comment)
                        #expect(found.count >= stage.answers, comment)
                        // The server says what is wrong with a request that ends early.
                        #expect(found.dropFirst(stage.answers).allSatisfy { $0 == 400 }, comment)
                        client.close()
                    case .close: client.close()
                    case .reset: client.reset()
                    }
                }
            }
            try await door.expectNothingLeft()
            let published = try await door.history().map(\.event.data)
            #expect(Set(published).count == published.count)
            #expect(Set(published).isSuperset(of: certain))
            #expect(stage.publishes || published.isEmpty)
        }
    }

    @Test("A publish that is accepted when its client has gone reaches subscribers")
    func publishOfAClientThatHasGone() async throws {
        let turnstile = Turnstile()
        try await DoorServer.run(access: Access(turnstile, turnstile)) { door in
            let source = try await TestEventSource(port: door.port, path: "/events/a")
            try await until { door.hub.socketCount == 1 && door.clientCount == 1 }
            let client = try PacketClient(port: door.port)
            try await client.send([Self.publish("1") + Self.publish("2")])
            try await until { turnstile.arrived == 1 }
            client.reset()
            turnstile.admit()
            // The server cannot send the first answer, and then has nobody to answer the second to.
            try await until { turnstile.arrived == 2 && door.clientCount == 1 }
            turnstile.admit()
            #expect(try await source.next()?.data == "1")
            #expect(try await source.next()?.data == "2")
            try await source.connection.close()
            try await door.expectNothingLeft()
        }
    }

    // MARK: Other bytes

    /// Bytes that are no request for a hub, and the status with which the server refuses them; `nil`: it does not answer.
    private static let garbage: [(name: String, bytes: [UInt8], status: Int?)] = {
        var random = SeededGenerator(seed: 1)
        let much = 64 * 1024
        let head = "GET /events/a HTTP/1.1\r\nHost: localhost\r\n"
        return [
            ("random bytes", (0..<much).map { _ in UInt8.random(in: 0...255, using: &random) }, 400),
            ("zeros", [UInt8](repeating: 0, count: much), 400),
            ("letters", [UInt8](repeating: 0x41, count: much), 400),
            ("bytes that are no text", [UInt8](repeating: 0xFF, count: much), 400),
            ("empty lines", Array(String(repeating: "\r\n", count: much / 2).utf8), nil),
            ("a method and spaces", Array(("GET" + String(repeating: " ", count: much)).utf8), 400),
            ("a target without an end", Array(("GET /events/" + String(repeating: "a", count: 200_000)).utf8), 414),
            ("a large field", Array((head + "X: \(String(repeating: "x", count: 100_000))\r\n\r\n").utf8), 431),
            ("a large field of a publish", publish("never", "X: \(String(repeating: "x", count: 100_000))\r\n"), 431),
            ("many fields", Array((head + (0..<300).map { "X\($0): x\r\n" }.joined() + "\r\n").utf8), 431),
            ("HTTP/2", Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0], 400),
            ("TLS", [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3] + (0...255).map { UInt8($0) }, 400),
        ]
    }()

    @Test("Bytes that are no request are refused, also behind a publish, and the next connection is served")
    func refusals() async throws {
        try await DoorServer.run { door in
            let before = door.witness.count
            var published: [String] = []
            for (name, bytes, status) in Self.garbage {
                for isBehind in [false, true] {
                    let connection = try await TestConnection(port: door.port)
                    // A server that has refused the first bytes may not take the rest.
                    try? await connection.send((isBehind ? Self.publish("before \(name)") : []) + bytes)
                    try? await connection.finishSending()
                    let found = statuses(try await connection.receiveAll())
                    #expect(found == (isBehind ? [200] : []) + (status.map { [$0] } ?? []), "\(name)")
                    try await connection.close()
                    if isBehind { published.append("before \(name)") }

                    let next = try await TestConnection(port: door.port)
                    try await next.send(Self.publish("after \(name)"))
                    #expect(statuses(try await next.receive(through: "\r\n\r\n")) == [200], "\(name)")
                    try await next.close()
                    published.append("after \(name)")
                }
            }
            #expect(try await door.history().map(\.event.data) == published)
            #expect(door.witness.count == before)
            try await door.expectNothingLeft()
        }
    }

    @Test("Bytes that are no request are refused in the same words as without a door")
    func sameRefusals() async throws {
        // Behind another request, the server says 501 of what it can only call 400 alone.
        try await BothWays.compare(Self.garbage.map { WayExchange($0.bytes) })
    }

    // MARK: Time

    @Test("A client that sends no more is disconnected, at any stage of a request")
    func silence() async throws {
        // The patience of the door has a length that only `DoorTests` can wait for. It comes before these timeouts.
        let stages: [(bytes: [UInt8], statuses: [Int])] = [
            ([], []), (Array("POST /ev".utf8), []), (Array("GET /health/li".utf8), []),
            (Self.unfinished("never"), [408]), (Self.publish("1"), [200]),
            (Self.publish("2") + Array("GET /events/a HTTP/1.1\r\nHost".utf8), [200]),
            (Self.publish("3") + Self.unfinished("never"), [200, 408]), (Self.health, [200]),
            (Self.health + Self.unfinished("never"), [200, 408]),
        ]
        try await DoorServer.run(idleTimeout: .seconds(1)) { door in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (bytes, expected) in stages {
                    group.addTask {
                        let connection = try await TestConnection(port: door.port)
                        if !bytes.isEmpty { try await connection.send(bytes) }
                        let found = statuses(try await connection.receiveAll())
                        #expect(found == expected, "\(String(decoding: bytes, as: UTF8.self))")
                        try await connection.close()
                    }
                }
                try await group.waitForAll()
            }
            #expect(Set(try await door.history().map(\.event.data)) == ["1", "2", "3"])
            try await door.expectNothingLeft()
        }
    }

    // MARK: Keep-alive

    @Test("A connection goes on behind a request for the server, in order", arguments: [false, true])
    func keepAlive(isPipelined: Bool) async throws {
        try await DoorServer.run { door in
            let before = door.witness.count
            let requests = [
                Self.publish("1"), Self.publish("2"), Self.health, Self.publish("3"), Self.publish("4", Self.pastDoor),
                Self.health, Self.publish("5"),
            ]
            let client = try PacketClient(port: door.port)
            if isPipelined {
                try await client.send([requests.flatMap { $0 }])
            } else {
                for (index, request) in requests.enumerated() {
                    try await client.send([request])
                    try await client.receive(answers: index + 1)
                }
            }
            try await client.receive(answers: requests.count)
            #expect(door.witness.count == before + 5)
            let history = try await door.history()
            #expect(history.map(\.event.data) == ["1", "2", "3", "4", "5"])
            try await client.send([Self.subscribe("/events/a?lastEventID=earliest")])
            let text = try await client.receive(through: "data: 5\n\n")
            #expect(statuses(text) == [Int](repeating: 200, count: requests.count + 1))
            let ids = history.map { "\($0.id)\n" }
            #expect(bodies(text).prefix(7) == [ids[0], ids[1], "alive\n", ids[2], ids[3], "alive\n", ids[4]])
            client.close()
            try await door.expectNothingLeft()
        }
    }

    // MARK: Crowds

    @Test("A crowd of clients of all kinds leaves every place free")
    func crowd() async throws {
        let (workers, rounds, places) = (10, 200, 200)
        try await DoorServer.run(maximumConnections: places) { door in
            /// Returns what was published. The server may have to notice some that have left, so there are more places than
            /// clients.
            @Sendable func visit(_ kind: Int, _ name: String) async throws -> [String] {
                var published: [String] = []
                let connection = try await TestConnection(port: door.port)
                switch kind {
                case 0:
                    try await connection.send(Self.publish(name))
                    #expect(statuses(try await connection.receive(through: "\r\n\r\n")) == [200])
                    published = [name]
                case 1:
                    try await connection.send(Self.subscribe("/events/a?topic=\(name)"))
                    _ = try await connection.receive(through: "\nid: ")
                    try await connection.reset()
                    return []
                case 2:
                    try await connection.send("POST /events/a HT")
                    try await connection.finishSending()
                    #expect(statuses(try await connection.receiveAll()) == [400])
                case 3:
                    try await connection.send(Self.health)
                    _ = try await connection.receive(through: "alive\n")
                case 4:
                    break
                case 5:
                    try await connection.send(Self.unfinished(name))
                    try await connection.reset()
                    return []
                case 6:
                    try await connection.send(Self.subscribe("/events/\(name)"))
                    try await connection.finishSending()
                    #expect(statuses(try await connection.receiveAll()) == [200])
                case 7:
                    try await connection.send(Self.publish(name) + Self.health + Self.publish("\(name)b"))
                    try await connection.finishSending()
                    #expect(statuses(try await connection.receiveAll()) == [200, 200, 200])
                    published = [name, "\(name)b"]
                case 8:
                    try await connection.send("\0\0\r\n\r\n")
                    try await connection.finishSending()
                    #expect(statuses(try await connection.receiveAll()) == [400])
                default:
                    try await connection.send(Self.publish(name, Self.pastDoor) + Self.subscribe())
                    _ = try await connection.receive(through: "\nid: ")
                    published = [name]
                }
                try await connection.close()
                return published
            }
            let published = try await withThrowingTaskGroup(of: [String].self) { group in
                for worker in 0..<workers {
                    group.addTask {
                        var published: [String] = []
                        for round in 0..<rounds {
                            published += try await visit((worker + round) % 10, "\(worker)-\(round)")
                        }
                        return published
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            try await door.expectNothingLeft()
            let history = try await door.history().map(\.event.data)
            #expect(history.sorted() == published.sorted())

            var clients: [TestConnection] = []
            for number in 0..<places {
                let client = try await TestConnection(port: door.port)
                try await client.send(Self.subscribe("/events/a", number % 3 == 0 ? Self.pastDoor : ""))
                #expect(try await client.isServed(), "place \(number)")
                clients.append(client)
            }
            try await until { door.hub.socketCount == places }
            let tooMany = try await TestConnection(port: door.port)
            try await tooMany.send(Self.subscribe())
            #expect(try await !tooMany.isServed())
            for client in clients + [tooMany] { try await client.close() }
            try await door.expectNothingLeft()
        }
    }

    // MARK: The limit

    /// What takes a place of the limit.
    enum Holder: CaseIterable {
        case stream, streamPastDoor, idle, idlePastDoor, half

        /// Returns `nil` if the server refuses it.
        func hold(_ port: Int) async throws -> TestConnection? {
            let connection = try await TestConnection(port: port)
            let isServed: Bool
            switch self {
            case .stream, .streamPastDoor:
                try await connection.send(subscribe("/events/a", self == .stream ? "" : pastDoor))
                isServed = try await connection.isServed()
            case .idle, .idlePastDoor, .half:
                try await connection.send(self == .idlePastDoor ? health : publish("x"))
                isServed = statuses(try await connection.receive(through: "\r\n\r\n")) == [200]
            }
            if isServed {
                if self == .half { try await connection.send("POST /events/a HT") }
                return connection
            }
            try await connection.close()
            return nil
        }
    }

    @Test("The limit of connections counts both ways together")
    func limit() async throws {
        try await DoorServer.run(maximumConnections: Holder.allCases.count) { door in
            var held: [TestConnection] = []
            for holder in Holder.allCases {
                // The server may still be about to notice that an earlier client has left.
                try await until {
                    guard let connection = try await holder.hold(door.port) else { return false }
                    held.append(connection)
                    return true
                }
            }
            for (index, next) in Holder.allCases.reversed().enumerated() {
                for holder in Holder.allCases {
                    let tooMany = try await holder.hold(door.port)
                    #expect(tooMany == nil, "\(holder) before \(next)")
                    try await tooMany?.close()
                }
                // Its place is for another kind, of the other way.
                try await held[index].close()
                try await until {
                    guard let connection = try await next.hold(door.port) else { return false }
                    held.append(connection)
                    return true
                }
            }
            for connection in held { try await connection.close() }
            try await door.expectNothingLeft()
        }
    }

    // MARK: Shutting down

    @Test("A server that shuts down ends what waits, answers what has begun, and ends streams")
    func shuttingDown() async throws {
        let log = MemoryLog()
        try await DoorServer.run(log: log) { door in
            func connect(_ bytes: [UInt8], through text: String? = nil) async throws -> TestConnection {
                let connection = try await TestConnection(port: door.port)
                if !bytes.isEmpty { try await connection.send(bytes) }
                if let text { _ = try await connection.receive(through: text) }
                return connection
            }
            let idle = [
                try await connect([]), try await connect(Self.publish("idle"), through: "\r\n\r\n"),
                try await connect(Self.health, through: "alive\n"),
                try await connect(Self.publish("idle", Self.pastDoor), through: "\r\n\r\n"),
            ]
            let streams = [
                try await connect(Self.subscribe(), through: "\nid: "),
                try await connect(Self.subscribe("/events/a", Self.pastDoor), through: "\nid: "),
            ]
            // Behind a publish whose answer shows that the server has read them, if they came with it.
            var unfinished: [TestConnection] = []
            for number in 0..<4 {
                let bytes = Self.publish("begun") + Self.unfinished("half \(number)")
                unfinished.append(try await connect(bytes, through: "\r\n\r\n"))
            }
            try await until { door.hub.streamCount == streams.count }
            await door.server.shutDown()
            for stream in streams {
                let rest = try await stream.receiveAll()
                #expect(rest.contains("retry: "))
                try await stream.close()
            }
            for connection in idle {
                // The ends of the answers.
                let rest = try await connection.receiveAll()
                #expect(!rest.contains("HTTP/1."))
                try await connection.close()
            }
            // The server gives the rest of a body a second.
            for (number, connection) in unfinished.enumerated() { try await connection.send("\(number)") }
            for connection in unfinished {
                #expect(statuses(try await connection.receiveAll()) == [200])
                try await connection.close()
            }
        }
        let data = try await Self.history(of: log).map(\.event.data)
        #expect(data.filter { $0.hasPrefix("half") }.sorted() == ["half 0", "half 1", "half 2", "half 3"])
    }

    @Test("A publish that the log has not accepted yet is answered before the server ends")
    func shuttingDownWhileTheLogWaits() async throws {
        let log = HeldLog()
        try await DoorServer.run(log: log) { door in
            let idle = try await TestConnection(port: door.port)
            try await idle.send(Self.publish("before"))
            _ = try await idle.receive(through: "\r\n\r\n")
            log.hold()
            var publishers: [TestConnection] = []
            for number in 0..<4 {
                let publisher = try await TestConnection(port: door.port)
                try await publisher.send(Self.publish("\(number)"))
                publishers.append(publisher)
            }
            try await until { log.heldCount == publishers.count }
            await door.server.shutDown()
            // The door is closed now.
            while try await idle.receive() != nil {}
            log.release()
            for publisher in publishers {
                #expect(statuses(try await publisher.receiveAll()) == [200])
                try await publisher.close()
            }
            try await idle.close()
        }
        #expect(try await Self.history(of: log).map(\.event.data).sorted() == ["0", "1", "2", "3", "before"])
    }

    // MARK: Both ways at once

    /// The data of the first events of a stream.
    private static func subscribe(
        _ door: DoorServer, isPastDoor: Bool, lastEventID: String = "", count: Int
    ) async throws -> [String] {
        let source = try await TestEventSource(
            port: door.port, path: "/events/a", lastEventID: lastEventID,
            headers: isPastDoor ? ["Proxy-Connection": "keep-alive"] : [:])
        var data: [String] = []
        while data.count < count, let event = try await source.next() { data.append(event.data ?? "") }
        try await source.connection.close()
        return data
    }

    @Test("Subscribers of both ways receive the events of publishers of both ways once, in the same order")
    func bothWaysAtOnce() async throws {
        let (publishers, rounds) = (4, 100)
        try await DoorServer.run { door in
            let before = door.witness.count
            let ways = [false, true, false, true, false, true]
            let data = try await withThrowingTaskGroup(of: [String]?.self) { group in
                for isPastDoor in ways {
                    group.addTask { try await Self.subscribe(door, isPastDoor: isPastDoor, count: publishers * rounds) }
                }
                try await until { door.hub.streamCount == ways.count }
                for publisher in 0..<publishers {
                    group.addTask {
                        let connection = try await TestConnection(port: door.port)
                        for round in 0..<rounds {
                            let fields = publisher % 2 == 0 ? "" : Self.pastDoor
                            try await connection.send(Self.publish("\(publisher) \(round)", fields))
                            #expect(statuses(try await connection.receive(through: "\r\n\r\n")) == [200])
                        }
                        try await connection.close()
                        return nil
                    }
                }
                // They come in the middle, and read from the beginning.
                for isPastDoor in ways {
                    group.addTask {
                        try await Self.subscribe(
                            door, isPastDoor: isPastDoor, lastEventID: "earliest", count: publishers * rounds)
                    }
                }
                return try await group.reduce(into: [[String]]()) { $0 += $1.map { [$0] } ?? [] }
            }
            let history = try await door.history().map(\.event.data)
            #expect(history.count == publishers * rounds)
            for publisher in 0..<publishers {
                let own = history.filter { $0.hasPrefix("\(publisher) ") }
                #expect(own == (0..<rounds).map { "\(publisher) \($0)" })
            }
            #expect(data.count == 2 * ways.count)
            for received in data { #expect(received == history) }
            // Those that are past the door, and no other.
            #expect(door.witness.count - before == publishers / 2 * rounds + ways.count)
            try await door.expectNothingLeft()
        }
    }
}

// MARK: - The server

/// A server whose front door answers.
private struct DoorServer: Sendable {
    let server: TestServer
    let witness: RouterWitness
    private let log: any Log

    private static let shards = 2

    var port: Int { server.port }
    var hub: Hub { server.hub }

    static func run(
        log: any Log = MemoryLog(), access: Access<BasicEventStreamRequestContext> = .local,
        maximumConnections: Int = .max, idleTimeout: Duration = .seconds(60),
        _ body: @escaping @Sendable (DoorServer) async throws -> Void
    ) async throws {
        let hub = BothWays.hub(log: log) { $0.shards = Self.shards }
        let witness = RouterWitness()
        try await TestServer.run(
            hub: hub, maximumConnections: maximumConnections, idleTimeout: idleTimeout, access: access,
            adding: { router in _ = router.add(middleware: witness) },
            { server in
                try await witness.waitForDoor(of: hub, port: server.port)
                try await body(DoorServer(server: server, witness: witness, log: log))
            })
    }

    func history() async throws -> [Record] { try await FrontDoorTests.history(of: log) }

    /// The number of clients, by the descriptors of the server.
    ///
    /// Other suites open and close descriptors of the same process meanwhile, so only those count that are bound to the
    /// port of this server, except its listener and the descriptor of it that each shard has.
    var clientCount: Int { Descriptors.bound(to: port).count - 1 - Self.shards }

    /// Waits until no stream, no subscription and no socket of a client is left.
    func expectNothingLeft() async throws {
        try await until { hub.streamCount == 0 && hub.feedCount == 0 && hub.socketCount == 0 }
        try await until { clientCount == 0 }
    }
}

extension FrontDoorTests {
    /// All events in history except those that this method adds: they show where its end is.
    fileprivate static func history(of log: any Log) async throws -> [Record] {
        guard let end = try await log.append([Event(topic: "end", data: "the end")], once: nil).first else { return [] }
        var (records, start) = ([Record](), Position.earliest)
        while true {
            let slice = try await log.read(nil, after: start, through: end, limit: SliceLimit())
            records += slice.records.filter { $0.event.topic != "end" }
            start = slice.end
            if slice.isComplete { return records }
        }
    }
}

/// A log that accepts events only while it is not held.
private final class HeldLog: WrappingLog {
    let log: any Log = MemoryLog()
    private let state = Mutex((isHeld: false, heldCount: 0))
    private let changed = Signal()

    /// How many calls have had to wait.
    var heldCount: Int { state.withLock { $0.heldCount } }

    func hold() { state.withLock { $0.isHeld = true } }

    func release() {
        state.withLock { $0.isHeld = false }
        changed.fire()
    }

    func append(_ events: [Event], once key: String?) async throws -> [Position] {
        state.withLock { if $0.isHeld { $0.heldCount += 1 } }
        try await changed.wait { state.withLock { $0.isHeld } ? nil : () }
        return try await log.append(events, once: key)
    }
}

/// Lets publishes in one by one. They have to wait for that, so a door answers them later.
private final class Turnstile: Authenticator, AccessPolicy {
    private let state = Mutex((arrived: 0, admitted: 0))
    private let changed = Signal()

    /// How many publishes have come to it.
    var arrived: Int { state.withLock { $0.arrived } }

    func admit() {
        state.withLock { $0.admitted += 1 }
        changed.fire()
    }

    func principal(of request: HubRequest, to purpose: AccessPurpose) async throws -> String? {
        guard purpose == .publish else { return nil }
        let number = state.withLock { state in
            state.arrived += 1
            return state.arrived
        }
        try await changed.wait { state.withLock { $0.admitted >= number } ? () : nil }
        return nil
    }

    func grant(to principal: String?, for purpose: AccessPurpose) async throws -> Grant {
        Grant(seesAllPublic: true, publish: [TopicSelector("a")])
    }
}

// MARK: - Clients

/// A TCP client that decides what goes into a packet, and that knows when the server has read it: the server's socket is in
/// the same process.
private final class PacketClient {
    private let socket: Int32
    private let serverPort: Int
    private let ownPort: Int?
    private var isOpen = true
    /// The descriptor of the server, once it has accepted the connection.
    private var serverSide: Int32?
    private var received: [UInt8] = []
    private var hasEnded = false

    init(port: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        serverPort = port
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        let (connecting, size) = (socket, socklen_t(MemoryLayout<sockaddr_in>.size))
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(connecting, $0, size) }
        }
        guard result == 0 else {
            ownPort = nil
            throw IOError(errnoCode: errno, reason: "connect")
        }
        var on: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        ownPort = Descriptors.port(of: socket) { getsockname($0, $1, $2) }
    }

    deinit { close() }

    /// Sends pieces, each when the server has read the one before it.
    func send(_ pieces: [[UInt8]]) async throws {
        for (index, piece) in pieces.enumerated() where !piece.isEmpty {
            if index > 0 { try await until { isRead } }
            let sent = Glibc.send(socket, piece, piece.count, Int32(MSG_NOSIGNAL))
            guard sent == piece.count else { throw IOError(errnoCode: errno, reason: "send") }
        }
    }

    /// Whether the server has read everything that has come to it, or has closed the connection.
    var isRead: Bool {
        guard let ownPort else { return true }
        if serverSide == nil {
            serverSide = Descriptors.bound(to: serverPort).first { Descriptors.peerPort(of: $0) == ownPort }
        }
        guard let serverSide else { return false }
        guard Descriptors.peerPort(of: serverSide) == ownPort else { return true }
        var byte: UInt8 = 0
        return recv(serverSide, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT)) <= 0
    }

    /// Closes the sending side (a FIN).
    func finish() { shutdown(socket, Int32(SHUT_WR)) }

    func close() {
        if isOpen { Glibc.close(socket) }
        isOpen = false
    }

    /// Closes the connection with a RST.
    func reset() {
        var now = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
        close()
    }

    // MARK: What comes back

    /// Takes what has come.
    private func take() {
        var bytes = [UInt8](repeating: 0, count: 64 * 1024)
        while !hasEnded {
            let count = recv(socket, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            if count > 0 {
                received += bytes[..<count]
            } else if count < 0, errno == EAGAIN {
                return
            } else {
                hasEnded = true
            }
        }
    }

    private func receive(until isEnough: (String) -> Bool) async throws -> String {
        var text = ""
        try await until {
            take()
            text = String(decoding: received, as: UTF8.self)
            return isEnough(text) || hasEnded
        }
        return text
    }

    /// Everything that has come, once a text is in it.
    func receive(through end: String) async throws -> String {
        let text = try await receive { $0.contains(end) }
        guard text.contains(end) else { throw TestConnection.Missing(text: end, found: text) }
        return text
    }

    /// Everything that has come, once so many answers with a length are complete in it.
    @discardableResult
    func receive(answers count: Int) async throws -> String {
        let text = try await receive { bodies($0).count >= count }
        guard bodies(text).count >= count else { throw TestConnection.Missing(text: "\(count) answers", found: text) }
        return text
    }

    func receiveAll() async throws -> String { try await receive { _ in false } }
}

/// The sockets among the descriptors of this process.
private enum Descriptors {
    typealias Asking = (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32

    /// A server's listener and its side of its connections.
    static func bound(to port: Int) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return names.compactMap { Int32($0) }.filter { Self.port(of: $0) { getsockname($0, $1, $2) } == port }
    }

    /// `nil` without a peer.
    static func peerPort(of descriptor: Int32) -> Int? { port(of: descriptor) { getpeername($0, $1, $2) } }

    static func port(of descriptor: Int32, _ ask: Asking) -> Int? {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask(descriptor, $0, &length) }
        }
        guard result == 0, Int32(address.sin_family) == AF_INET else { return nil }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

extension TestConnection {
    /// Whether the stream that is asked for says where it stands. One that is refused only says when to come back.
    fileprivate func isServed() async throws -> Bool {
        var bytes: [UInt8] = []
        while let more = try await receive() {
            bytes += more
            if bytes.firstRange(of: "\nid: ".utf8) != nil { return true }
        }
        return false
    }
}

extension [UInt8] {
    /// All ways to send these bytes in two packets.
    fileprivate var splits: [[[UInt8]]] { indices.dropFirst().map { [Array(self[..<$0]), Array(self[$0...])] } }
}

/// The complete bodies of answers that have a length, up to one that has none.
private func bodies(_ text: String) -> [String] {
    var (bodies, rest) = ([String](), Array(text.utf8)[...])
    while let end = rest.firstRange(of: "\r\n\r\n".utf8) {
        let answer = TestResponse(String(decoding: rest[..<end.upperBound], as: UTF8.self))
        guard let length = answer.header("content-length").flatMap({ Int($0) }) else { break }
        rest = rest[end.upperBound...]
        guard rest.count >= length else { break }
        bodies.append(String(decoding: rest.prefix(length), as: UTF8.self))
        rest = rest.dropFirst(length)
    }
    return bodies
}
#endif
