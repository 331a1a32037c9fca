// SPDX-License-Identifier: Apache-2.0

package import AsyncHTTPClient
package import NIOCore
import NIOHTTP1

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension HTTPClient.Configuration {
    /// What all HTTP clients of the project begin with. Redirects, decompression and new attempts are left to the code
    /// that asks.
    package static let outgoing: Self = {
        var configuration = Self(redirectConfiguration: .disallow, decompression: .disabled)
        // A negative status over HTTP/2 stops the process where nothing can be put before it.
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = connectTimeout
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.http1_1ConnectionDebugInitializer = { channel in
            channel.eventLoop.makeCompletedFuture { try Self.prepare(channel) }
        }
        return configuration
    }()

    /// For a connection, with TLS.
    package static let connectTimeout = TimeAmount.seconds(10)

    /// Runs once the client has put its handlers into the pipeline of a connection, before it sends a request.
    private static func prepare(_ channel: any Channel) throws {
        // A connection that is over already would count as one in use for ever.
        guard channel.isActive else { throw ChannelError.ioOnClosedChannel }
        // A port of this machine without a listener may be the one that the system has just chosen for the connection
        // itself. TCP then connects it with itself, and keeps the server from coming back.
        if let address = channel.localAddress, address == channel.remoteAddress {
            // Once the client knows that it is of no use.
            channel.eventLoop.execute { channel.close(promise: nil) }
            throw SelfConnection()
        }
        let pipeline = channel.pipeline.syncOperations
        let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPResponseDecoder>.self)
        try pipeline.addHandler(AnswerGuard(), position: .after(decoder))
    }

    package struct SelfConnection: Error {}
}

extension HTTPClientRequest {
    /// A GET without headers.
    package init(to url: OutgoingURL) { self.init(url: url.text) }
}

extension HTTPClientResponse {
    /// The type of the body, see ``MediaType``; `nil` where there is none.
    package var mediaType: String? { MediaType.essence(of: headers["Content-Type"]) }

    /// What the server asks to wait before the next request, see ``RetryAfter``.
    package var retryAfter: Duration {
        RetryAfter.wait(
            headers.first(name: "Retry-After"), date: headers.first(name: "Date"),
            now: Int(Date().timeIntervalSince1970))
    }
}
