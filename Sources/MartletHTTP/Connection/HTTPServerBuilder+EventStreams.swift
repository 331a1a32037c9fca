// SPDX-License-Identifier: Apache-2.0

public import HummingbirdCore
import Logging
public import Martlet
import NIOCore
import NIOHTTPTypesHTTP1

extension HTTPServerBuilder {
    /// An HTTP/1.1 server for the streams of a hub: as `http1()`, and HTTP/1.0 clients are answered as such, connections
    /// are limited, and the streams of the hub end when the server shuts down.
    ///
    /// - Parameters:
    ///   - hub: The hub whose routes the application has.
    ///   - maximumConnections: Above it, new connections are answered with 503 and `Retry-After`; open ones stay.
    ///   - idleTimeout: How long a connection stays open on which nothing comes while a request is expected.
    public static func eventStreams(
        of hub: Hub, maximumConnections: Int = .max, idleTimeout: Duration = .seconds(60)
    ) -> HTTPServerBuilder {
        let limit = ConnectionLimit(maximum: maximumConnections, hub: hub)
        return HTTPServerBuilder { responder in
            EventStreamChannel(
                base: HTTP1Channel(
                    responder: responder, configuration: .init(idleTimeout: TimeAmount(idleTimeout))),
                limit: limit,
                hub: hub
            )
        }
    }
}

private struct EventStreamChannel: ServerChildChannel {
    let base: HTTP1Channel
    let limit: ConnectionLimit
    let hub: Hub

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        base.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
            try pipeline.addHandler(ConnectionHandler(limit: limit, hub: hub), position: .before(codec))
            return value
        }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}
