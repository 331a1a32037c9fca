// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet
import NIOCore
import Synchronization

/// Where a connection comes from, and what was decided about it. Both may be known only after its first bytes; they are
/// settled before its first request is read.
final class ConnectionOrigin: Sendable {
    private struct State {
        var admission: ConnectionAdmission
        var peer: ConnectionPeer?
    }

    private let state: Mutex<State>

    /// - Parameter peer: `nil`: the other end of the channel, once it is known.
    init(_ admission: ConnectionAdmission, _ peer: ConnectionPeer? = nil) {
        state = Mutex(State(admission: admission, peer: peer))
    }

    var admission: ConnectionAdmission { state.withLock { $0.admission } }

    var peer: ConnectionPeer? { state.withLock { $0.peer } }

    /// Whether its first request is refused.
    var isAboveLimit: Bool { admission == .refused }

    func settle(_ admission: ConnectionAdmission, _ peer: ConnectionPeer) {
        state.withLock { $0 = State(admission: admission, peer: peer) }
    }

    /// Gives its place back; a stream that goes on without the channel has the place, too.
    func leave() {
        // Released outside the lock.
        let place = state.withLock { state in
            defer { state.peer?.place = nil }
            return state.peer?.place
        }
        withExtendedLifetime(place) {}
    }
}

/// Settles the origin of a connection: when the other end is known, or from the header that a trusted proxy sends first.
///
/// Its time is that of the first request. A header that is invalid is refused as a request would be.
final class OriginHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let origin: ConnectionOrigin
    private let limit: ConnectionLimit
    private let isRefused: () -> Void
    private var isHeaderDue = false
    private var header = ByteBuffer()
    private var isBroken = false

    /// - Parameter isRefused: Called if the connection turns out to be above a limit.
    init(_ origin: ConnectionOrigin, _ limit: ConnectionLimit, isRefused: @escaping () -> Void) {
        self.origin = origin
        self.limit = limit
        self.isRefused = isRefused
    }

    func channelActive(context: ChannelHandlerContext) {
        if origin.peer == nil {
            let peer = limit.peer(at: context.remoteAddress)
            if peer.isHeaderDue {
                origin.settle(origin.admission, peer)
            } else if !settle(at: peer.address, context) {
                return
            }
        }
        isHeaderDue = origin.peer?.isHeaderDue == true
        context.fireChannelActive()
        if !isHeaderDue { context.pipeline.syncOperations.removeHandler(self, promise: nil) }
    }

    /// Returns whether the connection goes on.
    private func settle(at address: SocketAddress?, _ context: ChannelHandlerContext) -> Bool {
        let (admission, peer) = limit.settle(origin.admission, at: address)
        origin.settle(admission, peer)
        switch admission {
        case .admitted: return true
        case .refused:
            isRefused()
            return true
        case .closed:
            context.close(promise: nil)
            return false
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard isHeaderDue else { return context.fireChannelRead(data) }
        guard !isBroken else { return }
        var bytes = unwrapInboundIn(data)
        header.writeBuffer(&bytes)
        switch header.withUnsafeReadableBytes({ ProxyHeader.read($0) }) {
        case .incomplete: break
        case .invalid: refuse(context)
        case .complete(let source, let length):
            isHeaderDue = false
            guard settle(at: source ?? origin.peer?.address, context) else {
                isBroken = true
                return
            }
            header.moveReaderIndex(forwardBy: length)
            if header.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(header)) }
            header = ByteBuffer()
            context.pipeline.syncOperations.removeHandler(self, promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent, isHeaderDue, !isBroken, header.readableBytes > 0 {
            refuse(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func refuse(_ context: ChannelHandlerContext) {
        isBroken = true
        context.fireErrorCaught(Problem.noProxyHeader)
    }
}

extension Problem {
    fileprivate static let noProxyHeader = Problem(
        .badRequest,
        "A connection of this proxy must begin with a header of the PROXY protocol. Let the proxy send it (send-proxy), or "
            + "leave proxy-protocol out.",
        field: "PROXY")
}
