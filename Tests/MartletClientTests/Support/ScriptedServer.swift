// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import TestSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A server on a free port of this machine that answers each connection as a script says, byte by byte, for as long as a
/// closure runs. A connection is closed when its script is done.
final class ScriptedServer: Sendable {
    typealias Script = @Sendable (Peer) async throws -> Void

    let port: Int
    fileprivate let seen: Seen

    /// What a server knows of its clients.
    fileprivate final class Seen: Sendable {
        let heads = Mutex<[String]>([])
        let connections = Mutex((accepted: 0, ended: 0))
        let peers: AsyncStream<Peer>.Continuation

        init(_ peers: AsyncStream<Peer>.Continuation) { self.peers = peers }
    }

    private init(port: Int, seen: Seen) {
        self.port = port
        self.seen = seen
    }

    /// The heads of the requests so far, without the empty line.
    var requests: [String] { seen.heads.withLock { $0 } }
    /// How many connections have ended.
    var endCount: Int { seen.connections.withLock { $0.ended } }
    /// How many connections are open.
    var openCount: Int { seen.connections.withLock { $0.accepted - $0.ended } }

    var url: String { "http://127.0.0.1:\(port)/events" }

    /// - Parameter tls: Not `nil`: it speaks TLS.
    static func run(
        tls: NIOSSLContext? = nil, _ script: @escaping Script,
        _ body: @escaping @Sendable (ScriptedServer) async throws -> Void
    ) async throws {
        let (peers, arrivals) = AsyncStream.makeStream(of: Peer.self)
        let seen = Seen(arrivals)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                    try channel.pipeline.syncOperations.addHandler(HeadReader(seen))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = ScriptedServer(port: listener.localAddress?.port ?? 0, seen: seen)
        let result = await Result {
            try await TestConnection.withPatience {
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask {
                        await withDiscardingTaskGroup { tasks in
                            for await peer in peers {
                                tasks.addTask {
                                    // The client can leave at any moment.
                                    try? await script(peer)
                                    peer.channel.close(promise: nil)
                                }
                            }
                        }
                    }
                    defer { tasks.cancelAll() }
                    try await body(server)
                }
            }
        }
        try await listener.close()
        try result.get()
    }

    /// Waits until a condition of the server holds.
    func until(_ condition: (ScriptedServer) -> Bool) async throws {
        try await TestSupport.until { condition(self) }
    }
}

/// Waits for the head of a request and drops the bytes after it.
private final class HeadReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let seen: ScriptedServer.Seen
    private var text = ""
    private var isDone = false

    init(_ seen: ScriptedServer.Seen) { self.seen = seen }

    func channelActive(context: ChannelHandlerContext) { seen.connections.withLock { $0.accepted += 1 } }

    func channelInactive(context: ChannelHandlerContext) { seen.connections.withLock { $0.ended += 1 } }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return }
        text += String(buffer: unwrapInboundIn(data))
        guard let end = text.utf8.firstRange(of: "\r\n\r\n".utf8) else { return }
        isDone = true
        let head = String(text[..<end.lowerBound])
        let number = seen.heads.withLock { heads in
            heads.append(head)
            return heads.count
        }
        seen.peers.yield(Peer(number: number, head: head, channel: context.channel))
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}

/// One client of a ``ScriptedServer``, and its request.
struct Peer: Sendable {
    /// From 1.
    let number: Int
    let head: String
    let channel: any Channel

    /// The head of a stream without a length: it ends with the connection.
    static let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

    /// Returns once the system has taken all bytes.
    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }

    func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    func answer(_ status: Int, _ headers: [String] = []) async throws {
        let lines = (headers + ["Content-Length: 0", "Connection: close"]).joined(separator: "\r\n")
        try await send("HTTP/1.1 \(status) \(status)\r\n\(lines)\r\n\r\n")
    }

    /// The value of a header of the request.
    func header(_ name: String) -> String? {
        for line in head.split(separator: "\r\n") where line.lowercased().hasPrefix("\(name.lowercased()): ") {
            return String(line.dropFirst(name.count + 2))
        }
        return nil
    }

    /// Resets the connection (RST).
    func reset() async throws {
        try await (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try await channel.close()
    }

    /// Waits until the client has closed the connection.
    func waitForEnd() async throws { try await channel.closeFuture.get() }
}
