// SPDX-License-Identifier: Apache-2.0

public import HummingbirdCore
import Logging
public import Martlet
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import Synchronization

extension HTTPServerBuilder {
    /// An HTTP/1.1 server for the streams of a hub. In addition to `http1()`, it answers HTTP/1.0 clients correctly, limits
    /// connections in number, time and bytes, and ends the streams of the hub on shutdown.
    ///
    /// Within each ``/Martlet/HubConfiguration/writeTimeout`` of the hub, a client must take all bytes of an answer, or
    /// 64 KiB.
    ///
    /// - Parameters:
    ///   - hub: The hub whose routes the application has.
    ///   - maximumConnections: Above it, event streams tell the client when to come back, other routes of a hub answer 503
    ///     with `Retry-After`, and the connection ends. Open connections stay. Far above it, new connections are closed at
    ///     once.
    ///   - idleTimeout: How long a connection stays open without a request, or with less than 64 KiB of a request.
    ///   - uploadTimeout: How long a live upload may send nothing.
    ///   - proxies: The proxies that are believed when they name the address of a client.
    ///   - frontDoor: Answers plain requests to the routes that were added with it. `nil`: the server answers all.
    public static func eventStreams(
        of hub: Hub, maximumConnections: Int = .max, idleTimeout: Duration = .seconds(60),
        uploadTimeout: Duration = .seconds(300), proxies: TrustedProxies = .none, frontDoor: FrontDoor? = nil
    ) -> HTTPServerBuilder {
        bounded(
            for: hub, maximumConnections: maximumConnections, idleTimeout: idleTimeout, uploadTimeout: uploadTimeout,
            countsStreams: true, proxies: proxies, frontDoor: frontDoor)
    }

    /// - Parameter countsStreams: Whether streams that the hub has taken over count as connections. Set it on the server that
    ///   has the routes of the streams.
    package static func bounded(
        for hub: Hub, maximumConnections: Int, idleTimeout: Duration, uploadTimeout: Duration = .seconds(300),
        countsStreams: Bool, proxies: TrustedProxies = .none, frontDoor: FrontDoor? = nil
    ) -> HTTPServerBuilder {
        let limit = ConnectionLimit(
            maximum: maximumConnections, hub: hub, countsStreams: countsStreams, proxies: proxies)
        let bounds = ConnectionBounds(
            idleTimeout: TimeAmount(idleTimeout), uploadTimeout: TimeAmount(uploadTimeout),
            writeTimeout: TimeAmount(hub.configuration.writeTimeout))
        return HTTPServerBuilder { responder in
            let server = EventStreamChannel(
                responder: { request, writer, channel in
                    try await responder(request.asking(.current), writer, channel)
                },
                bounds: bounds, limit: limit, hub: hub, frontDoor: frontDoor)
            frontDoor?.serve(server)
            return server
        }
    }
}

struct EventStreamChannel: HTTPChannelHandler {
    let responder: Responder
    let bounds: ConnectionBounds
    let limit: ConnectionLimit
    let hub: Hub
    let frontDoor: FrontDoor?
    private let isListenerGuarded = Once()

    init(
        responder: @escaping Responder, bounds: ConnectionBounds, limit: ConnectionLimit, hub: Hub,
        frontDoor: FrontDoor?
    ) {
        self.responder = responder
        self.bounds = bounds
        self.limit = limit
        self.hub = hub
        self.frontDoor = frontDoor
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Connection> {
        channel.eventLoop.makeCompletedFuture {
            if isListenerGuarded.isFirst(), let listener = channel.parent {
                AcceptPause.add(to: listener, logger: logger)
                frontDoor?.open(on: listener, logger: logger)
            }
            let admission = limit.open()
            guard admission != .closed else {
                channel.close(promise: nil)
                throw ChannelError.ioOnClosedChannel
            }
            return try makeConnection(channel, ConnectionOrigin(admission), logger)
        }
    }

    /// Prepares the channel of a connection that is counted already. Call it on the event loop.
    func makeConnection(_ channel: any Channel, _ origin: ConnectionOrigin, _ logger: Logger) throws -> Connection {
        let decoder = RequestDecoder()
        let output = OutputWatch(timeout: bounds.writeTimeout, logger: logger)
        let handler = ConnectionHandler(
            bounds, limit: limit, origin: origin, decoder: decoder, output: output, hub: hub,
            crossOrigin: frontDoor?.crossOrigin, logger: logger)
        channel.closeFuture.assumeIsolated().whenComplete { _ in
            handler.leaveLimit()
            origin.leave()
        }
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers([output, HTTPResponseEncoder()])
        if origin.peer.map(\.isHeaderDue) ?? limit.needsOrigin {
            try pipeline.addHandler(OriginHandler(origin, limit) { handler.expectRefusal() })
        }
        try pipeline.addHandlers([
            ByteToMessageHandler(decoder), handler, HTTP1ToHTTPServerCodec(secure: false),
        ])
        return Connection(
            try NIOAsyncChannel(
                wrappingChannelSynchronously: channel,
                configuration: .init(isOutboundHalfClosureEnabled: true)),
            origin, limit.proxies, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
    }

    func handle(value connection: Connection, logger: Logger) async {
        await Connection.$current.withValue(connection) {
            await handleHTTP(asyncChannel: connection.takeRequests(), logger: logger)
        }
    }
}

/// Tells its first caller from the others.
final class Once: Sendable {
    private let hasBeen = Atomic(false)

    func isFirst() -> Bool { !hasBeen.exchange(true, ordering: .relaxed) }
}
