// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport
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

/// A TCP connection to a server on this machine, for tests that a well-behaved client cannot make. It reads only while a
/// caller waits to receive.
///
/// Each wait ends with ``TestEvents/Overdue`` after ``patience``, so that a test fails instead of hanging.
package final class TestConnection: Sendable {
    /// The longest time of a wait.
    package static let patience = Duration.seconds(150)

    private let channel: any Channel
    private let inbox: Inbox

    package init(port: Int) async throws {
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

    package func send(_ text: String) async throws { try await send(Array(text.utf8)) }

    package func send(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    /// The bytes that have arrived, as soon as there are any; `nil` once the server has closed its side.
    package func receive() async throws -> [UInt8]? {
        try await Self.withPatience { try await self.inbox.take { self.channel.read() } }
    }

    /// Everything up to the end.
    package func receiveAll() async throws -> String {
        var bytes: [UInt8] = []
        while let more = try await receive() { bytes += more }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Closes the sending side (a FIN), and continues to receive.
    package func finishSending() async throws { try await channel.close(mode: .output) }

    /// Closes the connection and waits until it is closed.
    package func close() async throws {
        try? await channel.close()
        try await channel.closeFuture.get()
    }

    /// Closes the connection without waiting.
    package func leave() { channel.close(promise: nil) }

    /// Resets the connection (a RST).
    package func reset() async throws {
        try await (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try await close()
    }

    /// Returns the result of a closure, or throws ``TestEvents/Overdue`` if it takes too long.
    package static func withPatience<Value: Sendable>(
        _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withTimeout(patience, throwing: TestEvents.Overdue(), body)
    }
}

/// Bytes that have arrived and were not received yet.
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

    /// - Parameter read: Makes the channel read once.
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
