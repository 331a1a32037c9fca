// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import NIOCore
import NIOPosix

/// A server on a free port of this machine that answers every request with the same bytes, whatever they are, and closes
/// the connection.
enum RawServer {
    static func run(
        answering text: String, _ body: @escaping @Sendable (_ port: Int) async throws -> Void
    ) async throws {
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answering(text))
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

        init(_ text: String) { self.text = text }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
            context.close(promise: nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
