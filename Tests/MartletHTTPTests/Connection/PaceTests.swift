// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Logging
import Martlet
import MartletTesting
import NIOCore
import NIOEmbedded
import NIOHTTP1
import TestSupport
import Testing

@testable import MartletHTTP

/// How long a client may take, on a clock that the tests move.
@Suite struct PaceTests {
    /// What the application's side of a connection sees.
    private final class Application: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private(set) var requests = 0
        private(set) var problems: [Problem] = []
        /// The parts of bodies.
        private(set) var parts: [String] = []

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head: requests += 1
            case .body(let bytes): parts.append(String(buffer: bytes))
            case .end: break
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            if let problem = error as? Problem { problems.append(problem) }
        }
    }

    private struct Client {
        let channel = EmbeddedChannel()
        let application = Application()
        let handler: ConnectionHandler

        init(isAboveLimit: Bool = false) throws {
            let hub = quickHub()
            let decoder = RequestDecoder()
            let output = OutputWatch(timeout: .seconds(30), logger: quiet)
            let handler = ConnectionHandler(
                ConnectionBounds(idleTimeout: .seconds(60), uploadTimeout: .seconds(300), writeTimeout: .seconds(30)),
                limit: ConnectionLimit(maximum: 1, hub: hub, countsStreams: true),
                origin: ConnectionOrigin(isAboveLimit ? .refused : .admitted),
                decoder: decoder, output: output, hub: hub, crossOrigin: nil, logger: quiet)
            try channel.pipeline.syncOperations.addHandlers([
                output, HTTPResponseEncoder(), ByteToMessageHandler(decoder), handler, application,
            ])
            self.handler = handler
            channel.allowRemoteHalfClosure = true
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            channel.read()
        }

        /// - Parameter isReadOn: Whether the server goes on reading.
        func send(_ text: String, isReadOn: Bool = true) throws {
            try channel.writeInbound(ByteBuffer(string: text))
            if isReadOn { channel.read() }
        }

        func answer(_ status: HTTPResponseStatus = .ok) {
            let head = HTTPResponseHead(version: .http1_1, status: status, headers: ["content-length": "0"])
            channel.pipeline.write(HTTPServerResponsePart.head(head), promise: nil)
            channel.pipeline.writeAndFlush(HTTPServerResponsePart.end(nil), promise: nil)
        }

        func wait(_ seconds: Int64) { channel.embeddedEventLoop.advanceTime(by: .seconds(seconds)) }

        var written: String {
            var text = ""
            while let part = try? channel.readOutbound(as: ByteBuffer.self) { text += String(buffer: part) }
            return text
        }
    }

    private static func post(_ length: Int) -> String {
        "POST /events/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(length)\r\n\r\n"
    }

    @Test("A connection without a request is closed after the idle timeout, and so is one whose request does not end")
    func idle() throws {
        for start in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
            let client = try Client()
            try client.send(start)
            if client.application.requests > 0 { client.answer() }
            client.wait(59)
            #expect(client.channel.isActive)
            try client.send(start.isEmpty ? "" : "G")
            client.wait(1)
            #expect(!client.channel.isActive)
        }
    }

    @Test("A connection is not closed while the server has a request to answer")
    func slowServer() throws {
        let client = try Client()
        try client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        client.wait(3600)
        #expect(client.channel.isActive)
        client.answer()
        client.wait(59)
        #expect(client.channel.isActive)
        client.wait(1)
        #expect(!client.channel.isActive)
    }

    @Test("A body that trickles is answered 408")
    func trickle() throws {
        let client = try Client()
        try client.send(Self.post(1_000_000))
        for _ in 0..<59 {
            client.wait(1)
            try client.send(String(repeating: "a", count: 1000))
        }
        #expect(client.application.problems.isEmpty)
        client.wait(1)
        #expect(client.application.problems.map(\.status) == [.requestTimeout])
        client.answer(.requestTimeout)
        #expect(client.written.contains("connection: close"))
        client.wait(1)
        #expect(!client.channel.isActive)
    }

    @Test("A body that comes at 64 KiB in each idle timeout may be as long as it likes")
    func pace() throws {
        let client = try Client()
        try client.send(Self.post(10_000_000))
        for _ in 0..<20 {
            client.wait(59)
            try client.send(String(repeating: "a", count: ConnectionBounds.stretchBytes))
            client.wait(1)
        }
        #expect(client.application.problems.isEmpty && client.channel.isActive)
        try client.send(String(repeating: "a", count: ConnectionBounds.stretchBytes - 1))
        client.wait(60)
        #expect(client.application.problems.map(\.status) == [.requestTimeout])
    }

    private static let chunked =
        "POST /events/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

    @Test(
        "The body of a live upload may pause for the upload timeout, and go on for ever",
        arguments: [post(1_000_000), chunked])
    func upload(head: String) throws {
        let client = try Client()
        try client.send(head)
        client.handler.allowPauses()
        for _ in 0..<20 {
            client.wait(299)
            try client.send(head == Self.chunked ? "1\r\na\r\n" : "a")
        }
        client.wait(299)
        #expect(client.application.problems.isEmpty && client.channel.isActive)
        client.wait(1)
        #expect(client.application.problems.map(\.status) == [.requestTimeout])
        client.answer(.requestTimeout)
        #expect(client.written.contains("connection: close"))
    }

    @Test("Only the request that is answered may pause")
    func uploadBehindAnother() throws {
        let client = try Client()
        try client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + Self.post(10))
        client.handler.allowPauses()
        client.wait(60)
        #expect(client.application.problems.map(\.status) == [.requestTimeout])
    }

    @Test("A server that shuts down ends a live upload after a second, whatever it sends")
    func uploadAtShutdown() throws {
        let client = try Client()
        try client.send(Self.chunked)
        client.handler.allowPauses()
        client.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(900))
        try client.send("1\r\na\r\n")
        #expect(client.application.problems.isEmpty)
        client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(200))
        #expect(client.application.problems.map(\.status) == [.serviceUnavailable])
    }

    @Test("Chunks that arrive together are one part, and none waits for more")
    func chunks() throws {
        let client = try Client()
        try client.send(Self.chunked + "1\r\na\r\n2\r\nbc\r\n3\r\nd")
        #expect(client.application.parts == ["abcd"])
        try client.send("ef\r\n")
        try client.send("1\r\ng\r\n0\r\n\r\n")
        #expect(client.application.parts == ["abcd", "ef", "g"])
        let broken = try Client()
        try broken.send(Self.chunked + "1\r\na\r\n1\r\nb\r\nnonsense\r\n")
        #expect(broken.application.parts == ["ab"])
        #expect(broken.application.problems.map(\.status) == [.badRequest])
        let long = try Client()
        let chunk = "1000\r\n" + String(repeating: "a", count: 4096) + "\r\n"
        try long.send(Self.chunked + String(repeating: chunk, count: 40))
        #expect(long.application.parts.map(\.utf8.count) == [65536, 65536, 32768])
    }

    @Test("The time in which the server does not read is not the client's")
    func pause() throws {
        let client = try Client()
        try client.send(Self.post(1_000_000), isReadOn: false)
        client.wait(3600)
        #expect(client.application.problems.isEmpty)
        client.channel.read()
        client.wait(59)
        #expect(client.application.problems.isEmpty)
        client.wait(61)
        #expect(client.application.problems.map(\.status) == [.requestTimeout])
    }

    @Test("The rest of a refused body must come within a second, and must be short")
    func refusedBody() throws {
        let long = try Client()
        try long.send(Self.post(ConnectionBounds.stretchBytes + 1))
        long.answer(.unauthorized)
        #expect(long.written.contains("connection: close"))

        let short = try Client()
        try short.send(Self.post(ConnectionBounds.stretchBytes))
        short.answer(.unauthorized)
        #expect(!short.written.contains("connection: close"))
        try short.send(String(repeating: "a", count: ConnectionBounds.stretchBytes))
        short.wait(2)
        try short.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        #expect(short.application.requests == 2)

        let stuck = try Client()
        try stuck.send(Self.post(2))
        stuck.answer(.unauthorized)
        stuck.channel.embeddedEventLoop.advanceTime(by: .milliseconds(900))
        try stuck.send("a")
        #expect(stuck.channel.isActive)
        stuck.wait(2)
        #expect(!stuck.channel.isActive)
    }

    /// Keeps a channel without a socket open when its sending side is closed.
    private final class SendingSide: ChannelOutboundHandler {
        typealias OutboundIn = Never

        private(set) var isClosed = false

        func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
            guard case .output = mode else { return context.close(mode: mode, promise: promise) }
            isClosed = true
        }
    }

    @Test("A connection that ended reads and drops what still comes for a second, and at most 8 MiB")
    func lingering() throws {
        for isLong in [false, true] {
            let (channel, side) = (EmbeddedChannel(), SendingSide())
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            try channel.pipeline.syncOperations.addHandlers([side, LingeringClose()])
            #expect(side.isClosed && channel.isActive)
            if isLong {
                for _ in 0..<8 { try channel.writeInbound(ByteBuffer(repeating: 0, count: 1024 * 1024)) }
                #expect(channel.isActive)
                try channel.writeInbound(ByteBuffer(repeating: 0, count: 1))
            } else {
                try channel.writeInbound(ByteBuffer(repeating: 0, count: 1))
                channel.embeddedEventLoop.advanceTime(by: .milliseconds(999))
                #expect(channel.isActive)
                channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
            }
            #expect(!channel.isActive)
            #expect(try channel.readInbound(as: ByteBuffer.self) == nil)
        }
    }

    @Test("A connection above the limit that sends no request is closed after two seconds")
    func patience() throws {
        let client = try Client(isAboveLimit: true)
        try client.send("GET / HTTP/1.1\r\n")
        client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1999))
        #expect(client.channel.isActive)
        client.channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        #expect(!client.channel.isActive)
    }

    @Test("A server that shuts down waits a second for a body, and not at all for a request")
    func shutdown() throws {
        for start in ["", "GET / HT", Self.post(10)] {
            let client = try Client()
            try client.send(start)
            client.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
            #expect(client.channel.isActive == (client.application.requests > 0))
            client.wait(1)
            #expect(client.application.problems.count == client.application.requests)
        }
        let busy = try Client()
        try busy.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        busy.channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        busy.wait(10)
        #expect(busy.channel.isActive)
        busy.answer()
        #expect(busy.written.contains("connection: close"))
        busy.wait(1)
        #expect(!busy.channel.isActive)
    }

    @Test("A client must take 64 KiB of what is written to it in each write timeout, or all of it")
    func output() throws {
        let channel = EmbeddedChannel()
        var pending = 0
        let watch = OutputWatch(timeout: .seconds(30), logger: quiet) { _ in pending }
        try channel.pipeline.syncOperations.addHandler(watch)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        func write(_ bytes: Int) throws {
            pending += bytes
            try channel.writeOutbound(IOData.byteBuffer(ByteBuffer(repeating: 0, count: bytes)))
        }
        try write(1_000_000)
        for _ in 0..<10 {
            channel.embeddedEventLoop.advanceTime(by: .seconds(29))
            pending -= ConnectionBounds.stretchBytes
            channel.embeddedEventLoop.advanceTime(by: .seconds(1))
            #expect(channel.isActive)
            // More that is written does not hide that nothing is taken, nor is it asked for at once.
            try write(1000)
        }
        pending = 0
        channel.embeddedEventLoop.advanceTime(by: .seconds(3600))
        #expect(channel.isActive)
        try write(10)
        channel.embeddedEventLoop.advanceTime(by: .seconds(29))
        pending = 1
        try write(1000)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!channel.isActive)
    }

    @Test("A server that shuts down waits a second for a client to take something")
    func outputAtShutdown() throws {
        let channel = EmbeddedChannel()
        let watch = OutputWatch(timeout: .seconds(30), logger: quiet) { _ in 1 }
        try channel.pipeline.syncOperations.addHandler(watch)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try channel.writeOutbound(IOData.byteBuffer(ByteBuffer(string: "a")))
        channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(999))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(1))
        #expect(!channel.isActive)
    }
}
