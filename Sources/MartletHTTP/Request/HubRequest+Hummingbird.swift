// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import Hummingbird
package import NIOCore

extension HubRequest {
    /// - Parameter channel: The connection of the request; `nil` if its address does not matter.
    package init(_ request: Request, on channel: (any Channel)? = nil) {
        let connection = channel == nil ? nil : Connection.current
        let peer = connection?.origin.peer
        let address = peer?.address ?? channel?.remoteAddress
        self.init(
            method: request.method, target: request.head.path ?? "/", authority: request.head.authority,
            headers: request.headers,
            remoteAddress: connection?.proxies.client(of: request.headers, behind: address) ?? address)
        connectionPlace = peer?.place
    }
}

extension Request {
    /// Reads the body.
    ///
    /// - Throws: ``Problem`` of status 413 if the body is larger.
    package func body(upTo maximumBytes: Int) async throws -> ByteBuffer {
        let tooLarge = Problem(.contentTooLarge, "The body is over \(maximumBytes) bytes. Send less.", field: "data")
        if let length = headers[.contentLength], Int(length) ?? .max > maximumBytes { throw tooLarge }
        do {
            return try await body.collect(upTo: maximumBytes)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        }
    }
}
