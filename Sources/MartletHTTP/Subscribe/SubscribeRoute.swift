// SPDX-License-Identifier: Apache-2.0

import EventStream
import HTTPTypes
import Hummingbird
import Martlet
import NIOCore
import NIOHTTP1

/// Subscribes to what the request names and streams it for as long as the client stays.
struct SubscribeRoute<Context: ChannelRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>

    func respond(to request: Request, context: Context) async throws -> Response {
        let subscription = try await subscribe(request, context)
        let headers = HTTPFields.eventStream(subscription)
        if hub.isDraining {
            // Any status but 200 would make EventSource give up for good.
            let comeBack = WireBytes.opening(after: nil, retry: hub.retry())
            return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: comeBack.plain))
        }
        let channel = context.channel
        let opening = opening(of: subscription)
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                // The head goes out with the first bytes, and both before anything that is written from the event loop later.
                try await writer.write(opening)
                try await channel.eventLoop.submit {
                    let pipeline = channel.pipeline.syncOperations
                    let isHTTP10 = (try? pipeline.handler(type: ConnectionHandler.self))?.isHTTP10 ?? false
                    let encoder = try pipeline.handler(type: HTTPResponseEncoder.self)
                    try subscription.stream(to: channel, before: encoder, framing: isHTTP10 ? .plain : .chunked)
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

    func respondToHead(_ request: Request, context: Context) async throws -> Response {
        Response(status: .ok, headers: .eventStream(try await subscribe(request, context)))
    }

    private func subscribe(_ request: Request, _ context: Context) async throws -> Subscription {
        let grant = try await access.grant(for: request, context: context, to: .subscribe)
        let target = RequestTarget(request)
        let query = try target.query
        var topics: Set<TopicSelector> = []
        if let topic = try target.topic { topics.insert(TopicSelector(topic)) }
        for (name, value) in query where name == "topic" { topics.insert(TopicSelector(try Topic(value))) }
        try grant.checkSubscribing(to: topics)
        let selection = Selection(selectors: topics, grants: grant.subscribe)
        return try await hub.subscribe(to: selection, after: resumeID(request, query))
    }

    /// What the client saw last: the header of a reconnecting `EventSource`, else the parameter that a fresh page can set.
    private func resumeID(_ request: Request, _ query: [(name: String, value: String)]) -> String? {
        let parameters = query.filter { $0.name == "lastEventID" || $0.name == "last_event_id" }.map(\.value)
        return ([request.headers[.lastEventID] ?? ""] + parameters).first { !$0.isEmpty }
    }

    private func opening(of subscription: Subscription) -> ByteBuffer {
        guard let gap = subscription.gap else {
            return WireBytes.opening(after: subscription.position, retry: hub.retry()).plain
        }
        var bytes = WireBytes.opening(after: nil, retry: hub.retry()).plain
        bytes.writeImmutableBuffer(WireBytes.gap(gap).plain)
        return bytes
    }
}

/// The stream has been written to its end and its connection is closed; nothing went wrong.
private struct StreamEnded: Error {}
