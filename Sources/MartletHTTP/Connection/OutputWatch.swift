// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore

/// Closes a connection if its client reads too slowly: in each timeout, it must read a stretch, or all that is left.
///
/// The handler is next to the socket, and needs no timer while the socket takes all bytes.
final class OutputWatch: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = IOData

    private let logger: Logger
    private var timeout: TimeAmount
    /// Returns the bytes that the socket has not taken yet; `nil`: the output is not watched.
    private var pending: ((any Channel) -> Int)?
    private var written = 0
    /// The bytes that the client must have taken at the time of the check.
    private var goal = 0
    private var check: Scheduled<Void>?

    /// - Parameter pending: Returns the bytes that the socket has not taken yet; `nil`: ask the socket.
    init(timeout: TimeAmount, logger: Logger, pending: ((any Channel) -> Int)? = nil) {
        self.timeout = timeout
        self.logger = logger
        self.pending = pending
    }

    func handlerAdded(context: ChannelHandlerContext) {
        // A channel without a socket may trap on the option.
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

    /// Whether the socket has not taken all bytes.
    func isPending(in channel: any Channel) -> Bool { (pending?(channel) ?? 0) > 0 }

    /// Stops watching: a stream takes over, which has its own timeout.
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

/// Ends a connection after its last answer (a lingering close): it closes the sending side, and reads and drops bytes until
/// the client closes, too. Closing over unread bytes would reset the connection, and the answer could be lost.
final class LingeringClose: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var dropped = 0
    private var end: Scheduled<Void>?

    func handlerAdded(context: ChannelHandlerContext) {
        end = context.eventLoop.assumeIsolated().scheduleTask(in: ConnectionBounds.lingering) {
            context.close(promise: nil)
        }
        context.close(mode: .output, promise: nil)
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        dropped += unwrapInboundIn(data).readableBytes
        if dropped > ConnectionBounds.lingeringBytes { context.close(promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.read() }

    func handlerRemoved(context: ChannelHandlerContext) { end?.cancel() }
}
