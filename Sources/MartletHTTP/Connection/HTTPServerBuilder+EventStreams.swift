// SPDX-License-Identifier: Apache-2.0

public import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypesHTTP1

extension HTTPServerBuilder {
    /// An HTTP/1.1 server for event streams: as `http1()`, and HTTP/1.0 clients are answered as such.
    ///
    /// - Parameters:
    ///   - maximumConnections: Above it, new connections are answered with 503 and `Retry-After`.
    ///   - idleTimeout: How long a connection stays open on which no request comes, or comes whole.
    public static func eventStreams(
        maximumConnections: Int = .max, idleTimeout: Duration = .seconds(60)
    ) -> HTTPServerBuilder {
        let limit = ConnectionLimit(maximum: maximumConnections)
        return HTTPServerBuilder { responder in
            EventStreamChannel(
                base: HTTP1Channel(
                    responder: responder, configuration: .init(idleTimeout: TimeAmount(idleTimeout))),
                limit: limit
            )
        }
    }
}

private struct EventStreamChannel: ServerChildChannel {
    let base: HTTP1Channel
    let limit: ConnectionLimit

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        base.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            let codec = try pipeline.handler(type: HTTP1ToHTTPServerCodec.self)
            try pipeline.addHandler(ConnectionHandler(limit: limit), position: .before(codec))
            return value
        }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}
