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
    /// The base of all HTTP clients of the project. Redirects, decompression and retries are left to the callers.
    package static let outgoing: Self = {
        var configuration = Self(redirectConfiguration: .disallow, decompression: .disabled)
        // A negative status over HTTP/2 stops the process, and no handler can stand in front of that.
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = connectTimeout
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.http1_1ConnectionDebugInitializer = { channel in
            channel.eventLoop.makeCompletedFuture { try Self.prepare(channel) }
        }
        return configuration
    }()

    /// The time for a connection, including TLS.
    package static let connectTimeout = TimeAmount.seconds(10)

    /// Runs after the client has put its handlers into the pipeline of a connection, before it sends a request.
    private static func prepare(_ channel: any Channel) throws {
        // The client would count a connection that has already ended as one in use, for ever.
        guard channel.isActive else { throw ChannelError.ioOnClosedChannel }
        // If nothing listens on a port of this machine, the system can choose that port for the connection. TCP then
        // connects the socket with itself, and the server cannot bind the port again.
        if let address = channel.localAddress, address == channel.remoteAddress {
            // After the client has seen the error.
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
    /// How long the server asks the client to wait before the next request, see ``RetryAfter``.
    package var retryAfter: Duration {
        RetryAfter.wait(
            headers.first(name: "Retry-After"), date: headers.first(name: "Date"),
            now: Int(Date().timeIntervalSince1970))
    }
}
