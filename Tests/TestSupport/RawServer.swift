// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import NIOCore
import NIOPosix

/// A server on a free port of this machine that answers every request with the same bytes, whatever they are.
package enum RawServer {
    /// What it does after the first bytes.
    package enum Behavior: Sendable {
        case closes
        /// It keeps the connection and is silent.
        case hangs
        /// It sends more of the same, for as long as anyone takes it.
        case repeats(String)
    }

    package static func run(
        answering text: String, then behavior: Behavior = .closes,
        _ body: @escaping @Sendable (_ port: Int) async throws -> Void
    ) async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answering(text, behavior))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = listener.localAddress?.port ?? 0
        let result: Result<Void, any Error>
        do { result = .success(try await TestConnection.withPatience { try await body(port) }) } catch {
            result = .failure(error)
        }
        try await listener.close()
        try result.get()
    }

    private final class Answering: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let text: String
        private let behavior: Behavior
        private var hasAnswered = false

        init(_ text: String, _ behavior: Behavior) {
            self.text = text
            self.behavior = behavior
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard !hasAnswered else { return }
            hasAnswered = true
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            switch behavior {
            case .closes: context.close(promise: nil)
            case .hangs: break
            case .repeats(let more): Self.repeatedly(more, context.channel)
            }
        }

        private static func repeatedly(_ more: String, _ channel: any Channel) {
            channel.writeAndFlush(ByteBuffer(string: more)).whenSuccess {
                // After a pause: an event loop that always has a task ready reads no other connection.
                channel.eventLoop.scheduleTask(in: .microseconds(100)) { repeatedly(more, channel) }
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
