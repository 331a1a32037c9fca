// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Glibc
import Logging
import Martlet
import MartletSupport
import NIOCore
import NIOPosix
import Synchronization

/// The keeper of a front door: takes over the listening socket of a server, and gives the server what the door does not
/// answer.
final class HubDoorKeeper: DoorKeeper {
    private struct State {
        /// The connections that the server has got and that have not ended.
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// How many are on their way to it.
        var leaving = 0
        var isClosing = false
    }

    /// How long ``close()`` waits for the connections of the doors and of the server to end.
    private static let patience = Duration.seconds(5)

    private let desk: DoorDesk
    private let server: EventStreamChannel
    private let door: FrontDoor
    private let logger: Logger
    private let state = Mutex(State())
    /// How many connections are at the doors.
    private let atDoors = Atomic(0)
    private let changed = Signal()
    /// Whether nothing was accepted since a shortage was logged.
    private let isShort = Atomic(false)

    init(_ desk: DoorDesk, _ server: EventStreamChannel, on door: FrontDoor, logger: Logger) {
        self.desk = desk
        self.server = server
        self.door = door
        self.logger = logger
    }

    // MARK: The listener

    /// Has the hub accept the connections once it runs. From then on the server accepts none.
    func open(on listener: any Channel) async {
        do {
            try await server.hub.waitForStart()
            try await listener.eventLoop.submit {
                let isOpen = try listener.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                    of: NIOBSDSocket.Handle.self
                ) { socket in
                    // New connections inherit both.
                    SocketTransport.prepare(socket, timeout: self.server.hub.configuration.writeTimeout)
                    return self.server.hub.openDoor(socket, self)
                }
                if isOpen == true { try listener.syncOptions?.setOption(.autoRead, value: false) }
            }.get()
        } catch {
            // The hub or the listener has ended, so no connections come.
            logger.debug("The front door stays closed.", metadata: ["error": "\(error)"])
        }
    }

    /// The server ends: so does the door, and the connections that the server has got are asked to finish.
    func listenerClosed() {
        server.hub.closeDoor(self)
        let channels = state.withLock { state in
            state.isClosing = true
            return Array(state.channels.values)
        }
        for channel in channels { Self.quiesce(channel) }
    }

    private static func quiesce(_ channel: any Channel) {
        channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }

    func close() async {
        listenerClosed()
        try? await withTimeout(Self.patience, throwing: CancellationError()) {
            try await self.changed.wait { self.hasConnections ? nil : () }
        }
        for channel in state.withLock({ Array($0.channels.values) }) { channel.close(promise: nil) }
    }

    private var hasConnections: Bool {
        atDoors.load(ordering: .sequentiallyConsistent) > 0
            || state.withLock { !$0.channels.isEmpty || $0.leaving > 0 }
    }

    func cannotAccept(_ errno: Int32) {
        guard !isShort.exchange(true, ordering: .relaxed) else { return }
        AcceptPause.log(IOError(errnoCode: errno, reason: "accept"), to: logger)
    }

    // MARK: Connections

    var idleTimeout: TimeAmount { server.bounds.idleTimeout }

    var writeTimeout: TimeAmount { TimeAmount(server.hub.configuration.writeTimeout) }

    func enter(from address: SocketAddress?) -> (ConnectionAdmission, ConnectionPeer) {
        if isShort.load(ordering: .relaxed) { isShort.store(false, ordering: .relaxed) }
        let (admission, peer) = server.limit.open(from: address)
        if admission != .closed { atDoors.add(1, ordering: .sequentiallyConsistent) }
        return (admission, peer)
    }

    func leave(_ admission: ConnectionAdmission) {
        server.limit.close(admission)
        leaveDoor()
    }

    private func leaveDoor() {
        if atDoors.subtract(1, ordering: .sequentiallyConsistent).newValue == 0 { changed.fire() }
    }

    func read(_ bytes: UnsafeRawBufferPointer, from peer: ConnectionPeer) -> DoorReading {
        guard peer.isHeaderDue else { return desk.read(bytes, from: peer) }
        switch ProxyHeader.read(bytes) {
        case .incomplete: return .incomplete
        // The server says what is wrong.
        case .invalid: return .other
        case .complete(let source, let length):
            let (admission, settled) = server.limit.settle(.admitted, at: source ?? peer.address)
            return .header(settled, admission, length: length)
        }
    }

    func give(_ socket: Int32, _ bytes: [UInt8], _ admission: ConnectionAdmission, _ peer: ConnectionPeer) {
        state.withLock { $0.leaving += 1 }
        leaveDoor()
        let executor: (any TaskExecutor)? = door.answersOnEventLoops ? EventLoopExecutor(door.eventLoops) : nil
        let origin = ConnectionOrigin(admission, peer)
        Task(executorPreference: executor) { await self.serve(socket, bytes, origin) }
    }

    private func serve(_ socket: Int32, _ bytes: [UInt8], _ origin: ConnectionOrigin) async {
        let isOwned = Once()
        do {
            let (channel, connection) = try await ClientBootstrap(group: door.eventLoops)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .withConnectedSocket(socket) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        _ = isOwned.isFirst()
                        let connection = try self.server.makeConnection(channel, origin, self.logger)
                        if !bytes.isEmpty {
                            try channel.pipeline.syncOperations.addHandler(FirstBytes(bytes), position: .first)
                        }
                        return (channel, connection)
                    }
                }
            // It has read its first bytes, so it knows what it has to finish.
            count(channel)
            state.withLock { $0.leaving -= 1 }
            await server.handle(value: connection, logger: logger)
        } catch {
            logger.debug("A connection ended before the server had it.", metadata: ["error": "\(error)"])
            state.withLock { $0.leaving -= 1 }
            if isOwned.isFirst() {
                Glibc.close(socket)
                server.limit.close(origin.admission)
            }
        }
        changed.fire()
    }

    private func count(_ channel: any Channel) {
        let isClosing = state.withLock { state in
            state.channels[ObjectIdentifier(channel)] = channel
            return state.isClosing
        }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { $0.channels[ObjectIdentifier(channel)] = nil }
            self.changed.fire()
        }
        if isClosing { Self.quiesce(channel) }
    }
}

/// Has the server read bytes that were read from the socket before, and then what is in the socket. They come before the
/// poller can report the end of what the client sends.
private final class FirstBytes: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        context.fireChannelRead(wrapInboundOut(ByteBuffer(bytes: bytes)))
        context.fireChannelReadComplete()
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
#endif
