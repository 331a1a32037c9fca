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

/// Has a listener sleep for a moment when the process has no descriptors left. Connections wait in the kernel's queue.
///
/// NIO's own handler puts off reading only; the poller goes on reporting a connection that cannot be accepted.
package final class AcceptPause: ChannelInboundHandler {
    package typealias InboundIn = any Channel

    private static let pause = TimeAmount.milliseconds(200)
    private static let shortages = [EMFILE, ENFILE, ENOBUFS, ENOMEM]

    private let logger: Logger
    private var isPaused = false
    /// Whether nothing was accepted since a shortage was logged.
    private var isShort = false

    private init(_ logger: Logger) { self.logger = logger }

    /// Adds it to a listener that does not have it yet.
    package static func add(to listener: any Channel, logger: Logger) {
        listener.eventLoop.execute {
            let pipeline = listener.pipeline.syncOperations
            guard (try? pipeline.handler(type: AcceptPause.self)) == nil else { return }
            // A listener that was closed meanwhile needs none.
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

    private func pause(_ context: ChannelHandlerContext, _ error: IOError) {
        if !isShort {
            logger.warning(
                "New connections wait: none can be accepted. Raise the limit of descriptors (ulimit -n).",
                metadata: ["error": "\(error)"])
        }
        (isShort, isPaused) = (true, true)
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) {
            self.isPaused = false
            try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }
}
