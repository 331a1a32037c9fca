// SPDX-License-Identifier: Apache-2.0

package import EventStream
import HTTPTypes
package import Hummingbird
package import Martlet
package import NIOCore
import NIOHTTP1

extension Subscription {
    /// The answer that streams the subscription for as long as its client stays.
    ///
    /// - Parameters:
    ///   - channel: The connection of the request. It is the subscription's from the first bytes on: no other request on it
    ///     is answered.
    ///   - first: What the client is given before anything else.
    package func response(on channel: any Channel, first: ServerSentEvent? = nil) throws -> Response {
        let headers = HTTPFields.eventStream(self)
        if hub.isDraining {
            // Any status but 200 would make EventSource give up for good.
            let comeBack = WireBytes.opening(after: nil, retry: hub.retry())
            return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: comeBack.plain))
        }
        let opening = try opening(retry: hub.retry()) + (first.map { [try WireBytes($0)] } ?? [])
        return Response(
            status: .ok, headers: headers,
            // The head is written when this is called, so what is written to the channel comes behind it.
            body: ResponseBody { _ in
                let isHandedOff = try await channel.eventLoop.perform { try self.write(opening, to: channel) }
                // Returning would let the server answer a request that the client had sent behind this one.
                guard !isHandedOff else { throw StreamEnded() }
                try await withTaskCancellationHandler {
                    try await channel.closeFuture.get()
                } onCancel: {
                    channel.close(promise: nil)
                }
                throw StreamEnded()
            })
    }

    /// Returns whether the stream goes on without the channel.
    private func write(_ opening: [WireBytes], to channel: any Channel) throws -> Bool {
        let pipeline = channel.pipeline.syncOperations
        guard let encoder = try? pipeline.handler(type: HTTPResponseEncoder.self) else {
            return try stream(opening, to: channel, before: try channel.addBodyEncoder(), framing: .plain)
        }
        let isHTTP10 = (try? pipeline.handler(type: ConnectionHandler.self))?.isHTTP10 ?? false
        return try stream(opening, to: channel, before: encoder, framing: isHTTP10 ? .plain : .chunked)
    }

    private func opening(retry: Duration) -> [WireBytes] {
        guard let gap else { return [.opening(after: position, retry: retry)] }
        return [.opening(after: nil, retry: retry), .gap(gap)]
    }
}

/// The stream has been written to its end and its connection is closed, or the hub goes on with it; nothing went wrong.
private struct StreamEnded: Error {}

extension EventLoop {
    /// Runs a closure on the event loop; at once where the caller is there already.
    fileprivate func perform<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        inEventLoop ? try body() : try await submit(body).get()
    }
}
