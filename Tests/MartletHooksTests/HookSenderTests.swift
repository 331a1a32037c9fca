// SPDX-License-Identifier: Apache-2.0

import Foundation
import Martlet
import MartletTesting
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import MartletHooks

@Suite("The request with hooks", .timeLimit(.minutes(3))) struct HookSenderTests {
    private static func sender(_ port: Int, scheme: String = "http", timeout: Duration = .seconds(30)) throws
        -> HookSender
    {
        var configuration = try HookConfiguration(url: "\(scheme)://127.0.0.1:\(port)/hooks")
        configuration.limits.timeout = timeout
        return HookSender(configuration)
    }

    /// The failure of a request; `nil` if it has succeeded.
    private static func failure(
        answering text: String, then behavior: RawServer.Behavior = .closes, scheme: String = "http",
        timeout: Duration = .seconds(30)
    ) async throws -> HookFailure? {
        let (failures, failure) = AsyncStream.makeStream(of: HookFailure?.self)
        try await RawServer.run(answering: text, then: behavior) { port in
            do {
                try await Self.sender(port, scheme: scheme, timeout: timeout).send(Array("{}".utf8))
                failure.yield(nil)
            } catch let error as HookFailure {
                failure.yield(error)
            }
        }
        return await failures.first { _ in true } ?? nil
    }

    /// Computed with Python's hmac.
    @Test("Each secret gives a signature of the timestamp and the body")
    func signature() throws {
        let body = Array(#"{"sender":"me","hooks":[]}"#.utf8)
        let secrets = [try HookSecret("0123456789abcdef"), try HookSecret("ein längeres Geheimnis")]
        #expect(
            HookSender.signature(of: body, at: "1700000000", with: secrets)
                == "v1=b203273f8ccbc4a265f87fe0356d1e49a177887371900471600d21f13bd8e8c2,"
                + "v1=11883658740af96389ec00c9085e79fb0ad01eed65b0ca52ecad068306285061")
        #expect(HookSender.signature(of: body, at: "1700000000", with: []) == nil)
    }

    @Test("A secret of 16 bytes is accepted and never shown; a shorter one is refused")
    func secrets() throws {
        let secret = try HookSecret("0123456789abcdef")
        #expect("\(secret) \(String(reflecting: secret))" == "(secret) (secret)")
        let error = #expect(throws: HookError.self) { try HookSecret("0123456789abcde") }
        #expect(error?.description.contains("15 bytes") == true && error?.description.contains("01234") == false)
    }

    @Test("Statuses from 200 to 299 are success", arguments: [200, 202, 204, 299])
    func success(status: Int) async throws {
        let body = status == 204 ? "" : "Content-Length: 0\r\n"
        #expect(try await Self.failure(answering: "HTTP/1.1 \(status) x\r\n\(body)\r\n") == nil)
    }

    @Test("Any other status is a failure that names it", arguments: [300, 301, 307, 400, 404, 500, 503])
    func otherStatus(status: Int) async throws {
        let answer = "HTTP/1.1 \(status) x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        let failure = try #require(try await Self.failure(answering: answer))
        #expect(failure.description.contains("\(status)"))
        #expect(failure.description.contains("redirects are not followed") == (status < 400))
        #expect(failure.retryAfter == .zero)
    }

    @Test("Retry-After is heeded")
    func retryAfter() async throws {
        let answer = "HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
        #expect(try await Self.failure(answering: answer)?.retryAfter == .seconds(7))
    }

    @Test(
        "A receiver that does not speak HTTP, closes, or answers without end is a failure",
        arguments: [
            ("", RawServer.Behavior.closes), ("nonsense\r\n\r\n", .closes), ("HTTP/1.1 99 x\r\n\r\n", .hangs),
            ("HTTP/1.1 101 x\r\nUpgrade: x\r\n\r\n", .hangs),
            ("HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\n", .closes),
            ("HTTP/1.1 200 x\r\n", .repeats("A: \(String(repeating: "b", count: 1000))\r\n")),
            ("", .repeats("HTTP/1.1 100 x\r\n\r\n")),
            (
                "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n",
                .repeats("400\r\n\(String(repeating: "b", count: 1024))\r\n")
            ),
        ])
    func malformed(text: String, behavior: RawServer.Behavior) async throws {
        #expect(try await Self.failure(answering: text, then: behavior) != nil)
    }

    @Test("A receiver that is silent, or never ends its answer, is given up after the timeout")
    func silent() async throws {
        for text in ["", "HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\n"] {
            let failure = try await Self.failure(answering: text, then: .hangs, timeout: .milliseconds(100))
            #expect(failure?.description.isEmpty == false)
        }
    }

    @Test("A receiver without TLS at an https URL, and one that is not there, are failures")
    func noTLS() async throws {
        #expect(try await Self.failure(answering: "HTTP/1.1 200 x\r\n\r\n", scheme: "https") != nil)
        await #expect(throws: HookFailure.self) { try await Self.sender(1).send([]) }
    }

    @Test(
        "A URL that no request can go to is refused",
        arguments: ["", "ftp://a/", "http://", "http://a:0/", "http://u@a/"])
    func badURL(url: String) {
        #expect(throws: HookError.self) { try HookConfiguration(url: url) }
    }

    @Test("A hook is a JSON object on one line, and names a topic or a pattern")
    func json() {
        let time = WallTime(milliseconds: 1_764_493_200_999)
        let hooks = [
            Hook(id: "n-1", event: .occupied, selector: "a\"b", time: time),
            Hook(id: "n-2", event: .vacated, selector: "a/{id}", time: time),
            Hook(id: "n-3", event: .vacated, selector: .every, time: time),
            Hook(id: "n-4", event: .synced, time: time),
        ]
        #expect(
            String(decoding: Hook.body(hooks, from: NodeName(text: "n")), as: UTF8.self)
                == #"{"sender":"n","hooks":[{"id":"n-1","event":"occupied","topic":"a\"b","time":"2025-11-30T09:00:00Z"},"#
                + #"{"id":"n-2","event":"vacated","pattern":"a/{id}","time":"2025-11-30T09:00:00Z"},"#
                + #"{"id":"n-3","event":"vacated","pattern":"*","time":"2025-11-30T09:00:00Z"},"#
                + #"{"id":"n-4","event":"synced","time":"2025-11-30T09:00:00Z"}]}"#)
    }
}

@Suite("The list of topics on the board") struct TopicListTests {
    @Test("Topics and patterns are read as they were written, also a topic that looks like a pattern")
    func roundTrip() throws {
        let topics: Set<TopicSelector> = [
            "a", "a/{id}", .every, TopicSelector(Topic("b/{id}")), TopicSelector(Topic("*")),
            TopicSelector(try Topic(String(repeating: "é", count: 500))),
        ]
        let (list, omitted) = TopicList.encode(topics, atMost: 10_000)
        #expect(omitted == 0)
        #expect(try TopicList.decode(list) == topics)
        #expect(try TopicList.decode(TopicList.encode([], atMost: 1).list) == [])
    }

    @Test("What has no room is omitted and counted")
    func room() throws {
        let topics: Set<TopicSelector> = ["a", "b", "c"]
        #expect(TopicList.encode(topics, atMost: 19).omitted == 0)
        let (list, omitted) = TopicList.encode(topics, atMost: 18)
        #expect(omitted == 1 && list.count == 13)
        #expect(try TopicList.decode(list).isSubset(of: topics))
    }

    @Test(
        "Other bytes are refused",
        arguments: [
            [], [2], [1, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 2, 0x61], [1, 0, 0, 0, 0, 1, 0xFF],
            [1, 2, 0, 0, 0, 1, 0x61],
            [1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x61], [1, 0, 0, 0, 0, 1, 0x0A],
        ] as [[UInt8]])
    func refused(list: [UInt8]) {
        #expect(throws: TopicList.Unreadable.self) { try TopicList.decode(list) }
    }
}
