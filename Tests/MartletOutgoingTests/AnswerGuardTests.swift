// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import TestSupport
import Testing

@testable import MartletOutgoing

@Suite("Answers that the HTTP client does not bear", .timeLimit(.minutes(60))) struct AnswerGuardTests {
    private static let end = "\r\nContent-Length: 2\r\n\r\nok"

    @Test(
        "A status that HTTP does not have is an error of the request", arguments: ["000", "001", "050", "099"])
    func status(status: String) async throws {
        #expect(try await Self.outcome(of: "HTTP/1.1 \(status) x\(Self.end)") == .refused(.invalidStatus))
    }

    @Test(
        "A switch of the protocol is an error of the request", arguments: ["", "\r\nConnection: Upgrade\r\nUpgrade: x"])
    func upgrade(fields: String) async throws {
        #expect(try await Self.outcome(of: "HTTP/1.1 101 x\(fields)\r\n\r\n\0\0") == .refused(.upgrade))
    }

    @Test("Informational answers are skipped, up to their bound")
    func informational() async throws {
        let early = String(
            repeating: "HTTP/1.1 103 x\r\nLink: </a>\r\n\r\n", count: AnswerGuard.maximumInformationalAnswers)
        let answer = "HTTP/1.1 200 x\(Self.end)"
        #expect(try await Self.outcome(of: early + answer) == .answered(200, "ok"))
        #expect(
            try await Self.outcome(of: early + "HTTP/1.1 100 x\r\n\r\n" + answer)
                == .refused(.tooManyInformationalAnswers))
    }

    @Test("The greatest status is an answer, and so is the least after an informational one")
    func bounds() async throws {
        #expect(try await Self.outcome(of: "HTTP/1.1 999 x\(Self.end)") == .answered(999, "ok"))
        #expect(
            try await Self.outcome(of: "HTTP/1.1 199 x\r\n\r\nHTTP/1.1 200 x\(Self.end)") == .answered(200, "ok"))
    }

    @Test("No answer ends the process or its own request without an outcome")
    func anyAnswer() async throws {
        var random = SeededGenerator(seed: FuzzSettings.seed)
        let lines = [
            "HTTP/1.1 200 OK", "HTTP/1.0 200", "HTTP/1.1 099 x", "HTTP/1.1 100 Continue", "HTTP/1.1 101 x",
            "HTTP/1.1 204 x",
            "HTTP/1.1 304 x", "HTTP/1.1 1000 x", "HTTP/1.1 -5 x", "HTTP/2.0 200 x", "HTTP/1.1 200", "Content-Length: 2",
            "Content-Length: 0", "Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 2, 2",
            "Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked, gzip",
            "Connection: close",
            "Connection: Upgrade", "Upgrade: websocket", "Trailer: x", "X: \u{E9}", " folded", ": x", "", "", "", "ok",
            "2", "0",
            "FFFFFFFFFFFFFFFF", "ffffffffffffffff1", "-1", "2;x=y", "\0", "Retry-After: 99999999999999999999",
        ]
        for _ in 0..<min(FuzzSettings.count ?? 300, 20_000) {
            let answer = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                lines.randomElement(using: &random) ?? ""
            }
            _ = try await Self.outcome(of: answer.joined(separator: "\r\n"))
        }
    }

    enum Outcome: Equatable, Sendable {
        case answered(UInt, String)
        case refused(AnswerError)
        case failed(String)
    }

    /// The outcome of a request whose server sends this answer and closes the connection.
    private static func outcome(of answer: String) async throws -> Outcome {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answering(with: answer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: .outgoing)
        let outcome: Outcome
        do {
            let url = try OutgoingURL("http://127.0.0.1:\(listener.localAddress?.port ?? 0)/")
            let response = try await client.execute(HTTPClientRequest(to: url), timeout: .seconds(60))
            let body = try await response.body.collect(upTo: 1024)
            outcome = .answered(response.status.code, String(buffer: body))
        } catch let error as AnswerError {
            outcome = .refused(error)
        } catch {
            outcome = .failed("\(error)")
        }
        try await client.shutdown()
        try await listener.close()
        return outcome
    }
}

/// Sends the same answer to each request, and closes the connection.
private final class Answering: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let answer: String

    init(with answer: String) { self.answer = answer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
