// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletHTTP

/// What proxies, clients and other nodes say about clients.
@Suite struct ClientFuzzTests {
    @Test("A header of the PROXY protocol is read the same whatever comes behind it, and is bounded")
    func proxyHeader() async {
        var input = FuzzInput(pieces: [
            "PROXY ", "TCP4 ", "TCP6 ", "UNKNOWN", " ", "\r\n", "\n", "192.0.2.7 ", "::1 ", "2001:db8::7 ", "1",
            "65535", "65536",
            "080", "GET / HTTP/1.1\r\n", "\r\n\r\n\0\r\nQUIT\n", "\u{21}\u{11}\0\u{0C}", "\u{21}\u{21}\0\u{24}",
            "\u{20}\0\0\0", "\0\0", "\u{4}\0\u{1}x",
        ])
        while await input.next() {
            let reading = input.bytes.withUnsafeBytes(ProxyHeader.read)
            switch reading {
            case .complete(_, let length):
                #expect(length > 0 && length <= min(input.bytes.count, ProxyHeader.binaryBytes))
                let alone = input.bytes.prefix(length) + [UInt8(ascii: "x")]
                if Array(alone).withUnsafeBytes(ProxyHeader.read) != reading { input.fail("what follows counts") }
                for count in 0..<length where input.bytes[..<count].withUnsafeBytes(ProxyHeader.read) != .incomplete {
                    input.fail("\(count) bytes of it are not the beginning of a header")
                }
            case .incomplete:
                if input.bytes.count > ProxyHeader.binaryBytes { input.fail("it waits for more") }
            case .invalid:
                let more = input.bytes + Array("more\r\n".utf8)
                if more.withUnsafeBytes(ProxyHeader.read) != .invalid { input.fail("more makes it valid") }
            }
        }
    }

    @Test(
        "The address of a client is never one that a trusted proxy has, unless no other is said",
        arguments: [true, false])
    func forwarded(isStandard: Bool) async throws {
        let proxies = try TrustedProxies(["10.0.0.0/8", "2001:db8:1::/48"])
        var input = FuzzInput(pieces: [
            "for=", "For=", "by=", "host=", "proto=https", ";", ",", ", ", "\"", "\\", "[", "]", ":", "::1", "10.0.0.1",
            "10.1.2.3:80",
            "192.0.2.7", "\"[2001:db8::7]:443\"", "[2001:db8:1::1]", "unknown", "_hidden", "=", " ", "1.2.3",
            "999.1.1.1", "for",
        ])
        let peer = IPAddress("10.0.0.9")?.socketAddress()
        while await input.next() {
            let chain = Array(ForwardedChain([input.text], isStandard: isStandard))
            #expect(chain.count <= input.bytes.count + 1)
            let field = HTTPField.Name(isStandard ? "Forwarded" : "X-Forwarded-For")!
            let value = input.text.filter { !$0.isNewline && $0 != "\0" }
            let client = proxies.client(of: [field: value], behind: peer)
            guard let client, client != peer, proxies.contains(client) else { continue }
            // All that it names are proxies.
            let named = ForwardedChain([value], isStandard: isStandard).compactMap { $0 }
            if named.contains(where: { !proxies.contains($0.socketAddress()) }) { input.fail("\(client) is a proxy") }
        }
    }

    @Test("A trace is what it was when it is written and read again")
    func traceParent() async {
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        var input = FuzzInput(pieces: ["00", "-", "01", "ff", "f", "0", "A", "4bf92f35", "\u{E9}", "\0", valid])
        while await input.next(from: [
            valid, "cc\(valid.dropFirst(2))-what-comes-later", "00-\(String(repeating: "0", count: 32))",
        ]) {
            guard let trace = TraceParent(input.text) else { continue }
            if TraceParent(trace.description) != trace { input.fail("\(trace) is another") }
        }
    }

    @Test("What other nodes post is taken or refused")
    func rights() async throws {
        let hub = quickHub()
        try await hub.whileRunning { hub in
            let other = ExchangedRights(hub: quickHub(), tickets: Tickets()) { _ in }
            other.tell(.revoke("alice"))
            other.tell(
                .renew("tab", SharedGrant(Grant(principal: "alice", subscribe: ["a/{id}"], end: Date(), payload: "{}")))
            )
            let valid = other.waitingWords.map { String(decoding: $0, as: UTF8.self) }
            let own = ExchangedRights(hub: hub, tickets: Tickets()) { _ in }
            var input = FuzzInput(
                pieces: [
                    "[", "]", "{", "}", ":", ",", "\"", "number", "action", "revoke", "renew", "_0", "1e999", "-1",
                    "null", "\\ud800", "judged", "-9223372036854775808", "9223372036854775807",
                ],
                count: 5000)
            while await input.next(from: valid) { own.take(input.bytes) }
        }
    }

    @Test("A change of topics is made or refused with a status that says whose fault it is")
    func changes() async throws {
        try await TestServer.run { server in
            let source = try await TestEventSource(port: server.port, path: "/events/a?control=1")
            let name = try #require(try await source.next()?.data).split(separator: "\"")[3]
            var input = FuzzInput(
                pieces: [
                    "add=", "remove=", "add", "&", "=", "a", "b", "%", "%2F", "%00", "%zz", "+", "{id}", "*", "/", "\0",
                    "\u{E9}",
                ],
                count: 500)
            while await input.next() {
                let answer = try await server.request(
                    "POST", "/streams/\(name)/topics", headers: ["Content-Type": "application/x-www-form-urlencoded"],
                    body: input.text)
                if ![200, 400, 409].contains(answer.status) { input.fail("status \(answer.status)") }
            }
            #expect(server.hub.streamCount == 1)
        }
    }
}
