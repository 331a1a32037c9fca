// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import NIOCore
import NIOHTTP1

extension HTTPClient {
    /// What all sources connect with. It lives as long as the process and keeps no connection.
    static let eventSources = HTTPClient(
        eventLoopGroupProvider: .singleton, configuration: .eventSources)

    /// A port of this machine that nobody listens on may be the one that the system has just chosen for the connection
    /// itself. TCP then connects it with itself, and keeps the server from coming back.
    @Sendable static func refuseSelfConnection(_ channel: any Channel) -> EventLoopFuture<Void> {
        guard let address = channel.localAddress, address == channel.remoteAddress else {
            return channel.eventLoop.makeSucceededVoidFuture()
        }
        // Once the client knows that it is of no use.
        channel.eventLoop.execute { channel.close(promise: nil) }
        return channel.eventLoop.makeFailedFuture(SelfConnection())
    }

    struct SelfConnection: Error {}
}

extension HTTPClient.Configuration {
    /// A connection for each source, which goes with its stream.
    static let eventSources: Self = {
        var configuration = plain
        configuration.maximumUsesPerConnection = 1
        // One that was made for a source that is cancelled meanwhile is of no use to anybody.
        configuration.connectionPool.idleTimeout = .zero
        // How many sources there are is the application's affair.
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = .max
        return configuration
    }()

    /// For a connection, with TLS.
    static let connectTimeout = TimeAmount.seconds(10)

    /// Nothing is done behind the back of who asks.
    static let plain: Self = {
        var configuration = Self(redirectConfiguration: .disallow, decompression: .disabled)
        configuration.timeout.connect = connectTimeout
        // When to try again is decided elsewhere.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.http1_1ConnectionDebugInitializer = HTTPClient.refuseSelfConnection
        configuration.http2ConnectionDebugInitializer = HTTPClient.refuseSelfConnection
        return configuration
    }()
}

extension HTTPClientRequest {
    init(_ request: Request) {
        self.init(url: request.target.text)
        method = HTTPMethod(rawValue: request.method)
        headers = HTTPHeaders(request.headers.fields)
        if let body = request.body { self.body = .bytes(ByteBuffer(bytes: body)) }
    }
}

extension Answer {
    init(_ response: HTTPClientResponse) {
        self.init(
            status: Int(response.status.code),
            contentType: response.headers.first(name: "Content-Type"),
            contentEncoding: response.headers.first(name: "Content-Encoding"),
            location: response.headers.first(name: "Location"),
            retryAfter: response.headers.first(name: "Retry-After"))
    }
}
