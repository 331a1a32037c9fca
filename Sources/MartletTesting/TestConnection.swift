// SPDX-License-Identifier: Apache-2.0

import Martlet
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

/// A TCP connection to a server on this machine, byte by byte: for what a well-behaved client never does. It reads only
/// while somebody waits to receive; what nobody asks for stays with the system.
///
/// Every wait ends with ``Overdue`` after ``patience``, so that a test fails instead of hanging.
public final class TestConnection: Sendable {
    /// Nothing came for too long.
    public struct Overdue: Error {
        public init() {}
    }

    /// How long to wait for anything.
    public static let patience = Duration.seconds(60)

    private let channel: any Channel
    private let inbox: Inbox

    public init(port: Int) async throws {
        let inbox = Inbox()
        self.inbox = inbox
        self.channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.autoRead, value: false)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Receiver(inbox))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    public func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    public func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    /// Takes what has come, as soon as there is anything; `nil` once the server has closed its side.
    public func receive() async throws -> [UInt8]? {
        try await Self.withPatience { try await self.inbox.take { self.channel.read() } }
    }

    /// Takes everything up to the end.
    public func receiveAll() async throws -> String {
        var bytes: [UInt8] = []
        while let more = try await receive() { bytes += more }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Says that nothing more will be sent (a FIN), and goes on receiving.
    public func finishSending() async throws { try await channel.close(mode: .output) }

    /// Closes the connection and waits until it is.
    public func close() async throws {
        try? await channel.close()
        try await channel.closeFuture.get()
    }

    /// Closes the connection, and does not wait for it.
    public func leave() { channel.close(promise: nil) }

    /// Breaks the connection off (a RST).
    public func reset() async throws {
        try await (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try await close()
    }

    /// Does something, and throws ``Overdue`` if it takes too long.
    public static func withPatience<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value.self) { group in
            group.addTask(operation: body)
            group.addTask {
                try await Task.sleep(for: patience)
                throw Overdue()
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() else { throw Overdue() }
            return value
        }
    }
}

/// What has come and was not taken yet.
private final class Inbox: Sendable {
    private let state = Mutex((bytes: [UInt8](), isClosed: false))
    private let changed = Signal()

    func append(_ bytes: ByteBuffer) {
        state.withLock { $0.bytes += bytes.readableBytesView }
        changed.fire()
    }

    func close() {
        state.withLock { $0.isClosed = true }
        changed.fire()
    }

    /// - Parameter read: Has some bytes, or the end, come in.
    func take(reading read: () -> Void) async throws -> [UInt8]? {
        while true {
            let seen = changed.version
            let (bytes, isClosed) = state.withLock { state in
                defer { state.bytes = [] }
                return (state.bytes, state.isClosed)
            }
            if !bytes.isEmpty { return bytes }
            if isClosed { return nil }
            read()
            try await changed.wait(past: seen)
        }
    }
}

private final class Receiver: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let inbox: Inbox

    init(_ inbox: Inbox) { self.inbox = inbox }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { inbox.append(unwrapInboundIn(data)) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { inbox.close() }
    }

    func channelInactive(context: ChannelHandlerContext) { inbox.close() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
