// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Foundation
import Hummingbird
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletHTTP

@Suite("A front door with real sockets") struct FrontDoorTests {
    private static let get = "GET /events/a HTTP/1.1\r\nHost: localhost\r\n\r\n"
    private static let health = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"

    private static func post(_ data: String, to topic: String = "a", _ fields: String = "") -> String {
        "POST /events/\(topic) HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(data.utf8.count)\r\n\(fields)\r\n\(data)"
    }

    /// Runs a server whose front door is open.
    private static func run(
        maximumConnections: Int = .max, _ body: @escaping @Sendable (TestServer, RouterWitness) async throws -> Void
    ) async throws {
        let witness = RouterWitness()
        try await TestServer.run(
            hub: BothWays.hub(), maximumConnections: maximumConnections, adding: { _ = $0.add(middleware: witness) },
            { server in
                try await witness.waitForDoor(of: server.hub, port: server.port)
                try await body(server, witness)
            })
    }

    /// Returns once a server has room for as many streams as it may have connections, so nothing is left of those before.
    private static func checkIsEmpty(_ server: TestServer, maximumConnections: Int) async throws {
        try await server.until { $0.streamCount == 0 && $0.feedCount == 0 && $0.socketCount == 0 }
        try await until {
            var sources: [TestEventSource] = []
            for _ in 0..<maximumConnections {
                sources.append(try await TestEventSource(port: server.port, path: "/events/room"))
            }
            // Those above the limit have ended at once.
            let count = server.hub.streamCount
            for source in sources { try await source.connection.close() }
            try await server.until { $0.streamCount == 0 }
            return count == maximumConnections
        }
    }

    /// Reads until a text has come.
    private static func receive(_ connection: TestConnection, through end: String) async throws -> String {
        try await receive(connection) { $0.utf8.firstRange(of: end.utf8) != nil }
    }

    private static func receive(_ connection: TestConnection, until isComplete: (String) -> Bool) async throws -> String
    {
        var bytes: [UInt8] = []
        while !isComplete(String(decoding: bytes, as: UTF8.self)), let more = try await connection.receive() {
            bytes += more
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Pieces

    @Test(
        "A request may come in two pieces, cut anywhere", arguments: [get, post("hello"), health, post("1") + health])
    func pieces(request: String) async throws {
        try await Self.run { server, _ in
            let isStream = request == Self.get
            for cut in 1..<request.utf8.count {
                let bytes = Array(request.utf8)
                let connection = try await TestConnection(port: server.port)
                try await connection.send(Array(bytes[..<cut]))
                // The door has read the first piece when it has answered a later connection.
                if cut.isMultiple(of: 8) { _ = try await server.request("POST", "/events/b", body: "1") }
                try await connection.send(Array(bytes[cut...]))
                if isStream {
                    let head = try await Self.receive(connection, through: "\r\n\r\n")
                    #expect(head.hasPrefix("HTTP/1.1 200"), "cut at \(cut)")
                } else {
                    try await connection.finishSending()
                    let answer = try await connection.receiveAll()
                    let answers = answer.components(separatedBy: "HTTP/1.1 200").count - 1
                    #expect(answers == (request.contains("1GET") ? 2 : 1), "cut at \(cut): \(answer)")
                }
                try await connection.close()
            }
            if request.hasPrefix("POST") {
                let end = try Position(try await server.hub.publish("end", to: "end"))
                let slice = try await server.hub.log.read(
                    nil, after: .earliest, through: end, limit: SliceLimit(events: 10_000))
                let count = slice.records.count { $0.event.topics == ["a"] }
                #expect(count == request.utf8.count - 1)
            }
            try await server.until { $0.streamCount == 0 && $0.socketCount == 0 }
        }
    }

    @Test("A request may come byte by byte", arguments: [post("hello"), health])
    func bytes(request: String) async throws {
        try await Self.run { server, _ in
            let connection = try await TestConnection(port: server.port)
            for byte in request.utf8 { try await connection.send([byte]) }
            try await connection.finishSending()
            #expect(try await connection.receiveAll().hasPrefix("HTTP/1.1 200"))
        }
    }

    // MARK: Ends

    private enum Ending: CaseIterable {
        case close, finish, reset
    }

    @Test("Nothing is left of a connection, however and whenever its client ends it", arguments: Ending.allCases)
    private func endings(ending: Ending) async throws {
        let most = 4
        try await Self.run(maximumConnections: most) { server, _ in
            let stages = [
                "", "G", "POST /events/a", "POST /events/a HTTP/1.1\r\nHost: lo",
                String(Self.post("hello").dropLast(2)),
                Self.post("1"), Self.post("1") + "GET /ev", Self.post("1") + Self.health, Self.health, "nonsense",
                Self.health + "GET /health", Self.get, Self.get + "more", Self.post("1") + Self.get,
                "GET /events/a HTTP/1.0\r\nHost: localhost\r\n\r\n",
                "POST /events/a HTTP/1.1\r\nExpect: 100-continue\r\n",
            ]
            for stage in stages + stages {
                let connection = try await TestConnection(port: server.port)
                if !stage.isEmpty { try? await connection.send(stage) }
                switch ending {
                case .close: try await connection.close()
                case .finish:
                    try? await connection.finishSending()
                    // A stream goes on for a client that has only finished sending.
                    if !stage.contains("GET /events/a") { _ = try await connection.receiveAll() }
                    try await connection.close()
                case .reset: try? await connection.reset()
                }
            }
            try await Self.checkIsEmpty(server, maximumConnections: most)
        }
    }

    @Test("Nothing is left of many connections of all kinds")
    func manyConnections() async throws {
        let most = 16
        try await Self.run(maximumConnections: most) { server, _ in
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for worker in 0..<8 {
                    tasks.addTask {
                        for number in 0..<150 {
                            let connection = try await TestConnection(port: server.port)
                            switch (number + worker) % 6 {
                            case 0: try await connection.send(Self.get)
                            case 1: try await connection.send(Self.post("1", "Connection: close\r\n"))
                            case 2: try await connection.send("POST /events/a HTTP/1.1\r\nHo")
                            case 3: try await connection.send(Self.post("1") + Self.post("2"))
                            case 4: try await connection.send(Self.post("1") + Self.health)
                            default: break
                            }
                            let isAnswered = (number + worker) % 6 != 2 && (number + worker) % 6 != 5
                            // Above the limit, the connection ends in place of this answer.
                            if isAnswered, number.isMultiple(of: 3) {
                                _ = try? await Self.receive(connection, through: "HTTP/1.1 200")
                            }
                            try await connection.close()
                        }
                    }
                }
                try await tasks.waitForAll()
            }
            try await Self.checkIsEmpty(server, maximumConnections: most)
        }
    }

    // MARK: What is no request

    @Test(
        "What is no request is refused by the server, and the next connection is served",
        arguments: [
            [UInt8](repeating: 0xFF, count: 65_536), [UInt8](repeating: UInt8(ascii: "G"), count: 65_536),
            Array("GET /events/a HTTP/1.1\r\nX: ".utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: 200_000),
            Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0".utf8),
            [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03] + [UInt8](repeating: 7, count: 512),
        ])
    func noRequests(bytes: [UInt8]) async throws {
        try await Self.run { server, _ in
            let connection = try await TestConnection(port: server.port)
            try? await connection.send(bytes)
            try? await connection.finishSending()
            let answer = try? await connection.receiveAll()
            #expect(answer.map { $0.isEmpty || $0.hasPrefix("HTTP/1.1 4") || $0.hasPrefix("HTTP/1.1 5") } ?? true)
            #expect(try await server.request("POST", "/events/a", body: "1").status == 200)
        }
    }

    // MARK: Both ways together

    @Test("A connection that has gone to the server keeps its order, and stays there")
    func handedOver() async throws {
        try await Self.run { server, witness in
            let before = witness.count
            let connection = try await TestConnection(port: server.port)
            let requests = [Self.post("1"), Self.post("2"), Self.health, Self.post("3"), Self.health]
            for request in requests { try await connection.send(request) }
            try await connection.finishSending()
            let answer = try await connection.receiveAll()
            let bodies = answer.components(separatedBy: "HTTP/1.1 200 OK\r\n").dropFirst().map {
                $0.components(separatedBy: "\r\n\r\n").last?.trimmingCharacters(in: .newlines) ?? ""
            }
            #expect(bodies.count == 5)
            #expect(bodies.map { $0 == "alive" } == [false, false, true, false, true])
            let ids = bodies.filter { $0 != "alive" }.compactMap { $0.split(separator: "-").last.flatMap { Int($0) } }
            #expect(ids.count == 3 && ids == ids.sorted())
            #expect(witness.count == before + 3)
        }
    }

    @Test("Everybody receives each event once and in the same order, whichever way publishes and streams")
    func bothWays() async throws {
        let (publishers, count) = (8, 40)
        try await Self.run { server, witness in
            // What the server is to answer has a field that is unusual at the door.
            let other = "TE: trailers\r\nConnection: TE\r\n"
            var sources: [TestEventSource] = []
            for number in 0..<6 {
                let headers = number.isMultiple(of: 2) ? [:] : ["Connection": "TE"]
                sources.append(try await TestEventSource(port: server.port, path: "/events/a", headers: headers))
            }
            let before = witness.count
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for publisher in 0..<publishers {
                    tasks.addTask {
                        let connection = try await TestConnection(port: server.port)
                        for number in 0..<count {
                            let request = Self.post("\(publisher) \(number)", to: "a", publisher < 4 ? "" : other)
                            try await connection.send(request)
                            let answer = try await Self.receive(connection) {
                                $0.wholeMatch(of: /(?s).*\r\n\r\n.+\n/) != nil
                            }
                            #expect(answer.hasPrefix("HTTP/1.1 200"))
                        }
                        try await connection.close()
                    }
                }
                try await tasks.waitForAll()
            }
            #expect(witness.count > before, "The server publishes some.")
            #expect(witness.count < before + publishers * count, "The door publishes some.")
            var orders: Set<[String]> = []
            for source in sources {
                var seen: [String] = []
                while seen.count < publishers * count, let event = try await source.next() {
                    seen.append(event.data ?? "")
                }
                orders.insert(seen)
                try await source.connection.close()
            }
            #expect(orders.count == 1)
            let order = try #require(orders.first)
            for publisher in 0..<publishers {
                let own = order.filter { $0.hasPrefix("\(publisher) ") }
                #expect(own == (0..<count).map { "\(publisher) \($0)" })
            }
        }
    }

    // MARK: The limit and the end

    @Test("The limit of connections counts those of both ways")
    func limit() async throws {
        try await Self.run(maximumConnections: 3) { server, _ in
            let stream = try await TestEventSource(port: server.port, path: "/events/a")
            let idle = try await TestConnection(port: server.port)
            try await idle.send(Self.post("1"))
            _ = try await Self.receive(idle, through: "\r\n\r\n")
            let handedOver = try await TestConnection(port: server.port)
            try await handedOver.send(Self.health)
            _ = try await Self.receive(handedOver, through: "alive")
            #expect(try await server.request("POST", "/events/a", body: "2").status == 503)
            try await idle.close()
            try await until { try await server.request("POST", "/events/a", body: "3").status == 200 }
            try await handedOver.close()
            try await stream.connection.close()
            try await Self.checkIsEmpty(server, maximumConnections: 3)
        }
    }

    @Test("A drain ends streams and idle connections, and answers what has come")
    func drain() async throws {
        try await Self.run { server, _ in
            let stream = try await TestEventSource(port: server.port, path: "/events/a")
            let idle = try await TestConnection(port: server.port)
            try await idle.send(Self.post("last"))
            _ = try await Self.receive(idle, through: "\r\n\r\n")
            let silent = try await TestConnection(port: server.port)
            await server.shutDown()
            #expect(try await stream.next()?.data == "last")
            #expect(try await stream.next() == nil)
            _ = try await idle.receiveAll()
            _ = try await silent.receiveAll()
        }
    }
}
#endif
