// SPDX-License-Identifier: Apache-2.0

package import EventStream
package import HTTPTypes
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
    ///   - headers: The head; see ``HTTPFields/eventStream(_:to:_:)``.
    ///   - first: What the client is given before anything else.
    package func response(
        on channel: any Channel, headers: HTTPFields, first: ServerSentEvent? = nil
    ) throws -> Response {
        if fanOut.isDraining || Connection.isAboveLimit { return .comeBack(after: fanOut.retry(), headers: headers) }
        let opening = try opening(retry: fanOut.retry()) + (first.map { [try WireBytes($0)] } ?? [])
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
        guard let connection = try? pipeline.handler(type: ConnectionHandler.self) else {
            return try stream(opening, to: channel, before: encoder, framing: .chunked)
        }
        connection.beginStreaming()
        return try stream(
            opening, to: channel, before: encoder, framing: connection.isHTTP10 ? .plain : .chunked,
            handOff: connection.leaveLimit)
    }

    private func opening(retry: Duration) -> [WireBytes] {
        guard let gap else { return [.opening(after: position, retry: retry)] }
        return [.opening(after: nil, retry: retry), .gap(gap)]
    }
}

extension Hub {
    /// The answer to who subscribes. Where it is not known at the moment where he goes on, because the log is away or has
    /// too much to do, he is sent away and told when to come again.
    package func unlessAway(_ subscribe: () async throws -> Response) async throws -> Response {
        do {
            return try await subscribe()
        } catch let error as MartletError where Self.passingErrors.contains(error.code) {
            return .comeBack(after: retry())
        }
    }

    /// Whether the client of the current task is sent away and told when to come again.
    package var sendsAway: Bool { isDraining || Connection.isAboveLimit }

    private static let passingErrors: Set<MartletError.Code> = [.notRunning, .overloaded, .storageFailed]
}

extension Response {
    /// An event stream that ends with the time to wait: any other status would make `EventSource` give up for good.
    static func comeBack(after retry: Duration, headers: HTTPFields = .eventStream) -> Response {
        let opening = WireBytes.opening(after: nil, retry: retry)
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: opening.plain))
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
