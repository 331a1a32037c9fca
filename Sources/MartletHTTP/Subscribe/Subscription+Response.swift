// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import Hummingbird
package import Martlet
package import NIOCore
import NIOHTTP1

extension Subscription {
    /// The answer that streams the subscription for as long as its client stays.
    ///
    /// - Parameter channel: The connection of the request. It is the subscription's from the first bytes on: no other
    ///   request on it is answered.
    package func response(on channel: any Channel) -> Response {
        let headers = HTTPFields.eventStream(self)
        if hub.isDraining {
            // Any status but 200 would make EventSource give up for good.
            let comeBack = WireBytes.opening(after: nil, retry: hub.retry())
            return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: comeBack.plain))
        }
        let opening = opening(retry: hub.retry())
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                // The head goes out with the first bytes, and both before anything that is written from the event loop later.
                try await writer.write(opening)
                try await channel.eventLoop.submit {
                    let pipeline = channel.pipeline.syncOperations
                    let isHTTP10 = (try? pipeline.handler(type: ConnectionHandler.self))?.isHTTP10 ?? false
                    let encoder = try pipeline.handler(type: HTTPResponseEncoder.self)
                    try self.stream(to: channel, before: encoder, framing: isHTTP10 ? .plain : .chunked)
                }.get()
                try await withTaskCancellationHandler {
                    try await channel.closeFuture.get()
                } onCancel: {
                    channel.close(promise: nil)
                }
                // Returning would let the server answer a request that the client had sent behind this one.
                throw StreamEnded()
            })
    }

    private func opening(retry: Duration) -> ByteBuffer {
        guard let gap else { return WireBytes.opening(after: position, retry: retry).plain }
        var bytes = WireBytes.opening(after: nil, retry: retry).plain
        bytes.writeImmutableBuffer(WireBytes.gap(gap).plain)
        return bytes
    }
}

/// The stream has been written to its end and its connection is closed; nothing went wrong.
private struct StreamEnded: Error {}
