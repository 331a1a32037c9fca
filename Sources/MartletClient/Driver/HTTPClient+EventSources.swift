// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MartletOutgoing
import NIOCore
import NIOHTTP1

extension HTTPClient {
    /// What all sources connect with. It lives as long as the process and keeps no connection.
    static let eventSources = HTTPClient(
        eventLoopGroupProvider: .singleton, configuration: .eventSources)
}

extension HTTPClient.Configuration {
    /// A connection for each source, which goes with its stream.
    static let eventSources: Self = {
        var configuration = outgoing
        configuration.maximumUsesPerConnection = 1
        // One that was made for a source that is cancelled meanwhile is of no use to anybody.
        configuration.connectionPool.idleTimeout = .zero
        // How many sources there are is the application's affair.
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = .max
        return configuration
    }()
}

extension HTTPClientRequest {
    init(_ request: Request) {
        self.init(to: request.target)
        method = HTTPMethod(rawValue: request.method)
        headers = HTTPHeaders(request.headers.fields)
        if let body = request.body { self.body = .bytes(ByteBuffer(bytes: body)) }
    }
}

extension Answer {
    init(_ response: HTTPClientResponse) {
        self.init(
            status: Int(response.status.code),
            contentTypes: response.headers["Content-Type"],
            contentEncodings: response.headers["Content-Encoding"],
            location: response.headers.first(name: "Location"),
            wait: response.retryAfter)
    }
}
