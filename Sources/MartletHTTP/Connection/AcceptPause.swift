// SPDX-License-Identifier: Apache-2.0

package import Logging
package import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Pauses a listener when the process has no descriptors left. New connections wait in the queue of the kernel.
///
/// The handler of NIO only defers reading, and its poller goes on reporting a connection that cannot be accepted.
package final class AcceptPause: ChannelInboundHandler {
    package typealias InboundIn = any Channel

    private static let pause = TimeAmount.milliseconds(200)
    private static let shortages = [EMFILE, ENFILE, ENOBUFS, ENOMEM]

    private let logger: Logger
    private var isPaused = false
    /// Whether nothing was accepted since a shortage was logged.
    private var isShort = false

    private init(_ logger: Logger) { self.logger = logger }

    /// Adds the handler to a listener that does not have it yet. May be called from any thread.
    package static func add(to listener: any Channel, logger: Logger) {
        listener.eventLoop.execute {
            let pipeline = listener.pipeline.syncOperations
            guard (try? pipeline.handler(type: AcceptPause.self)) == nil else { return }
            // The listener may have closed meanwhile.
            try? pipeline.addHandler(AcceptPause(logger), position: .first)
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isShort = false
        context.fireChannelRead(data)
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? IOError, Self.shortages.contains(error.errnoCode), !isPaused { pause(context, error) }
        context.fireErrorCaught(error)
    }

    static func log(_ error: IOError, to logger: Logger) {
        logger.warning(
            "New connections wait, because the process has no file descriptors left. Raise the limit (ulimit -n).",
            metadata: ["error": "\(error)"])
    }

    private func pause(_ context: ChannelHandlerContext, _ error: IOError) {
        if !isShort { Self.log(error, to: logger) }
        (isShort, isPaused) = (true, true)
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) {
            self.isPaused = false
            try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }
}
