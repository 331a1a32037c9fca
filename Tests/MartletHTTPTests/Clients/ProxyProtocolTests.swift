// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletTesting
import NIOCore
import TestSupport
import Testing

@testable import MartletHTTP

/// With shards, the front door reads the header; without, the server does.
@Suite("Connections that begin with a PROXY header")
struct ProxyProtocolTests {
    private static func run(
        shards: Int, trusted: [String] = ["127.0.0.0/8"], idleTimeout: Duration = .seconds(60),
        maximumConnections: Int = .max, _ limits: ClientLimits = ClientLimits(),
        _ body: @Sendable @escaping (TestServer) async throws -> Void
    ) async throws {
        let hub = quickHub {
            $0.shards = shards
            $0.clients = limits
        }
        let proxies = try TrustedProxies(trusted, sendProxyHeader: true)
        let access = Access<BasicEventStreamRequestContext>(EchoAddress(), EchoAddress())
        try await TestServer.run(
            hub: hub, maximumConnections: maximumConnections, idleTimeout: idleTimeout, proxies: proxies, access: access
        ) { server in
            try await body(server)
            try await until { hub.clients.count(now: .now + .seconds(10_000_000)) == 0 && hub.streamCount == 0 }
        }
    }

    /// Refuses whoever publishes, and says what address it has.
    private struct EchoAddress: ImmediateAuthenticator, ImmediatePolicy {
        func principalNow(of request: HubRequest, to purpose: AccessPurpose) throws -> PrincipalNow<String> {
            if purpose == .publish { throw Problem(.forbidden, "at \(request.remoteAddress?.ipAddress ?? "none")") }
            return .known(nil)
        }

        func principal(of request: HubRequest, to purpose: AccessPurpose) async throws -> String? {
            _ = try principalNow(of: request, to: purpose)
            return nil
        }

        func grant(to principal: String?, for purpose: AccessPurpose) throws -> Grant { Grant(seesAllPublic: true) }
    }

    private static func post(_ fields: String = "") -> [UInt8] {
        Array(
            "POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\(fields)Connection: close\r\n\r\nx"
                .utf8)
    }

    private static func answer(_ server: TestServer, _ parts: [[UInt8]]) async throws -> String {
        let connection = try await TestConnection(port: server.port)
        // A server that refuses the first bytes may not take the rest.
        for part in parts { try? await connection.send(part) }
        let answer = try await connection.receiveAll()
        try await connection.close()
        return answer
    }

    /// Expects a text in the answer.
    private static func expect(
        _ text: String, _ server: TestServer, _ parts: [[UInt8]], sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let answer = try await answer(server, parts)
        #expect(answer.contains(text), sourceLocation: sourceLocation)
    }

    private static let line = Array("PROXY TCP4 203.0.113.7 192.0.2.1 5 80\r\n".utf8)

    @Test("The client of a header counts, however it is cut", arguments: [0, 2])
    func cut(shards: Int) async throws {
        try await Self.run(shards: shards) { server in
            for header in [
                Self.line, ProxyHeaderTests.binary(), ProxyHeaderTests.binary(0x21, 0x21, ProxyHeaderTests.six),
            ] {
                let address = header.count > 50 ? "2001:db8::7" : "203.0.113.7"
                try await Self.expect("at \(address)", server, [header + Self.post()])
                try await Self.expect("at \(address)", server, [header, Self.post()])
                try await Self.expect("at \(address)", server, (header + Self.post()).map { [$0] })
                for cut in [1, 6, 12, 15, 16, 27, header.count - 1] {
                    let parts = [Array(header[..<cut]), Array(header[cut...]) + Self.post()]
                    try await Self.expect("at \(address)", server, parts)
                }
            }
        }
    }

    @Test("A header that names no client leaves the address of the proxy", arguments: [0, 2])
    func local(shards: Int) async throws {
        try await Self.run(shards: shards) { server in
            for header in [
                Array("PROXY UNKNOWN\r\n".utf8), ProxyHeaderTests.binary(0x20), ProxyHeaderTests.binary(0x21, 0x00, []),
            ] {
                try await Self.expect("at 127.0.0.1", server, [header + Self.post()])
                // A trusted proxy, whose headers are believed.
                let forwarded = Self.post("X-Forwarded-For: 198.51.100.1\r\n")
                try await Self.expect("at 198.51.100.1", server, [header + forwarded])
            }
            // The client of the header is no proxy.
            let forged = Self.line + Self.post("X-Forwarded-For: 198.51.100.1\r\nForwarded: for=198.51.100.1\r\n")
            try await Self.expect("at 203.0.113.7", server, [forged])
        }
    }

    @Test("A connection of a proxy without a header, or with an invalid one, is refused", arguments: [0, 2])
    func invalid(shards: Int) async throws {
        try await Self.run(shards: shards) { server in
            let invalid: [[UInt8]] = [
                Self.post(), Array("PROXY TCP4 1.2.3.4\r\n".utf8),
                Array("PROXY \(String(repeating: "x", count: 200))".utf8),
                ProxyHeaderTests.binary(0x21, 0x11, [], length: 65_535), [0], Array("\r\n\r\n".utf8) + Self.post(),
                Self.line + Self.line + Self.post(),
            ]
            for bytes in invalid {
                let answer = try await Self.answer(server, [bytes])
                #expect(statuses(answer) == [400], "\(String(decoding: bytes.prefix(60), as: UTF8.self))")
            }
            let answer = try await Self.answer(server, [Self.post()])
            #expect(answer.contains(#""field":"PROXY""#) && answer.contains("send-proxy"))
        }
    }

    @Test("A header that is cut off ends the connection", arguments: [0, 2])
    func cutOff(shards: Int) async throws {
        try await Self.run(shards: shards, idleTimeout: .seconds(1)) { server in
            for (bytes, isEnded) in [
                (Array(Self.line.prefix(20)), true), (Array(Self.line.prefix(20)), false), ([], true),
            ] {
                let connection = try await TestConnection(port: server.port)
                if !bytes.isEmpty { try await connection.send(bytes) }
                if isEnded { try await connection.finishSending() }
                let answer = try await connection.receiveAll()
                #expect(answer.isEmpty || statuses(answer) == [400])
                try await connection.close()
            }
        }
    }

    @Test("Elsewhere a header is no request, and connections need none", arguments: [0, 2])
    func elsewhere(shards: Int) async throws {
        try await Self.run(shards: shards, trusted: ["10.0.0.0/8"]) { server in
            let refused = try await Self.answer(server, [Self.line + Self.post()])
            #expect(statuses(refused) == [400])
            try await Self.expect("at 127.0.0.1", server, [Self.post()])
        }
    }

    @Test("The connections and streams of a header's client are counted as its own", arguments: [0, 2])
    func counted(shards: Int) async throws {
        try await Self.run(
            shards: shards,
            .with {
                $0.connectionsPerAddress = 2
                $0.streamsPerAddress = 1
            }
        ) { server in
            let get = Array("GET /events/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8)
            let stream = try await TestConnection(port: server.port)
            try await stream.send(Self.line + get)
            try await server.until { $0.streamCount == 1 }
            #expect(try await Self.answer(server, [Self.line + get]).contains("retry: "))
            let silent = try await TestConnection(port: server.port)
            try await silent.send(Self.line)
            try await until {
                let answer = try await Self.answer(server, [Self.line + Self.post()])
                return statuses(answer) == [429] && answer.contains("max-connections-per-address")
            }
            // Another client of the same proxy.
            let other = Array("PROXY TCP4 203.0.113.8 192.0.2.1 5 80\r\n".utf8)
            try await Self.expect("at 203.0.113.8", server, [other + Self.post()])
            try await silent.close()
            try await stream.close()
            try await until { try await Self.answer(server, [Self.line + Self.post()]).contains("at 203.0.113.7") }
        }
    }

    @Test("Above all connections, a header is read and its request refused", arguments: [0, 2])
    func aboveLimit(shards: Int) async throws {
        try await Self.run(shards: shards, maximumConnections: 1) { server in
            let held = try await TestConnection(port: server.port)
            try await held.send(Self.line + Array("GET /events/a HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
            try await server.until { $0.streamCount == 1 }
            #expect(try await statuses(Self.answer(server, [Self.line + Self.post()])) == [503])
            try await held.close()
        }
    }
}
