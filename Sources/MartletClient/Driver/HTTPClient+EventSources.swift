// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import NIOCore
import NIOHTTP1

extension HTTPClient {
    /// What all sources connect with. It lives as long as the process and keeps no connection.
    static let eventSources: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.decompression = .disabled
        configuration.maximumUsesPerConnection = 1
        // Each source has a connection for itself; how many there are is the application's affair.
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = .max
        // When to try again is decided elsewhere.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.http1_1ConnectionDebugInitializer = refuseSelfConnection
        configuration.http2ConnectionDebugInitializer = refuseSelfConnection
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

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
