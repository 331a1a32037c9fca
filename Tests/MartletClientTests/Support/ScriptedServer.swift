// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import NIOCore
import NIOPosix
import Synchronization

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
    private let heads = Mutex<[String]>([])
    private let ended = Mutex(0)

    private init(port: Int) { self.port = port }

    /// What was asked so far, each without the empty line.
    var requests: [String] { heads.withLock { $0 } }
    /// How many connections there were that are no more.
    var endCount: Int { ended.withLock { $0 } }

    var url: String { "http://127.0.0.1:\(port)/events" }

    static func run(_ script: @escaping Script, _ body: @escaping @Sendable (ScriptedServer) async throws -> Void)
        async throws
    {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: false)
                    )
                }
            }
        let server = ScriptedServer(port: listener.channel.localAddress?.port ?? 0)
        try await TestConnection.withPatience {
            try await listener.executeThenClose { connections in
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask {
                        try await withThrowingDiscardingTaskGroup { tasks in
                            for try await connection in connections {
                                tasks.addTask { await server.serve(connection, script) }
                            }
                        }
                    }
                    defer { tasks.cancelAll() }
                    try await body(server)
                }
            }
        }
    }

    private func serve(_ connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>, _ script: Script) async {
        // The other side may be gone at any moment.
        try? await connection.executeThenClose { inbound, outbound in
            var bytes = inbound.makeAsyncIterator()
            var text = ""
            while let more = try await bytes.next() {
                text += String(buffer: more)
                guard let end = text.utf8.firstRange(of: "\r\n\r\n".utf8) else { continue }
                let head = String(text[..<end.lowerBound])
                let number = heads.withLock { heads in
                    heads.append(head)
                    return heads.count
                }
                try await script(Peer(number: number, head: head, channel: connection.channel, outbound: outbound))
                return
            }
        }
        ended.withLock { $0 += 1 }
    }

    /// Waits until a condition holds, which something else brings about.
    func until(_ condition: @Sendable @escaping (ScriptedServer) -> Bool) async throws {
        while !condition(self) { try await Task.sleep(for: .milliseconds(2)) }
    }
}

/// One client of a ``ScriptedServer``, and what it asked.
struct Peer: Sendable {
    /// From 1.
    let number: Int
    let head: String
    let channel: any Channel
    let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>

    /// The head of a stream without a length: it ends with the connection.
    static let stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

    func send(_ text: String) async throws { try await outbound.write(ByteBuffer(string: text)) }

    func send(_ bytes: [UInt8]) async throws { try await outbound.write(ByteBuffer(bytes: bytes)) }

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

    /// Breaks the connection off (a RST).
    func reset() async throws {
        try await (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try await channel.close()
    }

    /// Waits until the client has closed the connection.
    func waitForEnd() async throws { try await channel.closeFuture.get() }
}
