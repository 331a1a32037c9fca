// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore

/// Closes a connection whose client does not take what is written to it: in each timeout a stretch, or all there is.
///
/// It stands nearest to the socket, and costs no timer while the socket takes what is written.
final class OutputWatch: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = IOData

    private let logger: Logger
    private var timeout: TimeAmount
    /// How much was written that the socket has not taken; `nil`: that is not watched.
    private var pending: ((any Channel) -> Int)?
    private var written = 0
    /// What the client must have taken when the check comes.
    private var goal = 0
    private var check: Scheduled<Void>?

    /// - Parameter pending: Says how much the socket has not taken yet; `nil`: the socket does.
    init(timeout: TimeAmount, logger: Logger, pending: ((any Channel) -> Int)? = nil) {
        self.timeout = timeout
        self.logger = logger
        self.pending = pending
    }

    func handlerAdded(context: ChannelHandlerContext) {
        // A channel without a socket may not know the option, and stop the program.
        guard pending == nil, context.pipeline.syncOperations.isOnSocket else { return }
        pending = { (try? $0.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 }
    }

    func handlerRemoved(context: ChannelHandlerContext) { stop() }

    func channelInactive(context: ChannelHandlerContext) {
        stop()
        context.fireChannelInactive()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        written += unwrapOutboundIn(data).readableBytes
        context.write(data, promise: promise)
    }

    func flush(context: ChannelHandlerContext) {
        context.flush()
        watch(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent {
            timeout = min(timeout, ConnectionBounds.lastTimeout)
            check?.cancel()
            check = nil
            watch(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Whether the socket has not taken everything that was written.
    func isPending(in channel: any Channel) -> Bool { (pending?(channel) ?? 0) > 0 }

    /// Watches no more: what is written from now on is a stream's, which has its own timeout.
    func stop() {
        pending = nil
        check?.cancel()
        check = nil
    }

    private func watch(_ context: ChannelHandlerContext) {
        guard check == nil, let pending = pending?(context.channel), pending > 0 else { return }
        goal = written - pending + min(pending, ConnectionBounds.stretchBytes)
        check = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { self.judge(context) }
    }

    private func judge(_ context: ChannelHandlerContext) {
        check = nil
        guard let pending = pending?(context.channel) else { return }
        guard written - pending < goal else { return watch(context) }
        logger.debug("A client does not take its answer; its connection is closed.")
        context.close(promise: nil)
    }
}

extension ChannelPipeline.SynchronousOperations {
    fileprivate var isOnSocket: Bool {
        let found = try? withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { _ in true }
        return found ?? false
    }
}
