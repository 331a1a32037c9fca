// SPDX-License-Identifier: Apache-2.0

/// A stream that has ended: whose it was, how long it was open, what it was sent, and why it ended.
public struct EndedStream: Hashable, Sendable {
    public var reason: StreamEnd
    /// The topics and patterns that the client had subscribed to.
    public var topics: Set<TopicSelector>
    /// Whose stream it was; `nil` if its client was anonymous.
    public var principal: String?
    /// What the client called the stream; `nil` if it gave no name, or was anonymous.
    public var name: String?
    public var client: StreamClient
    /// From the time when the stream was taken over by the shard that wrote to it.
    public var duration: Duration
    /// The events that were written in full, also those that the client has not received.
    public var events: Int
    /// The bytes that were written behind the head of the response and its first blocks, heartbeats and framing included.
    public var bytes: Int

    public init(
        reason: StreamEnd, topics: Set<TopicSelector>, principal: String? = nil, name: String? = nil,
        client: StreamClient = StreamClient(), duration: Duration = .zero, events: Int = 0, bytes: Int = 0
    ) {
        self.reason = reason
        self.topics = topics
        self.principal = principal
        self.name = name
        self.client = client
        self.duration = duration
        self.events = events
        self.bytes = bytes
    }
}

extension EndedStream {
    /// What is known of whose stream it was, under the names that logs and hooks have for it.
    package var origin: [(name: String, text: String)] {
        let texts = [
            ("principal", principal), ("stream", name), ("address", client.address), ("request_id", client.requestID),
            ("traceparent", client.trace?.description),
        ]
        return texts.compactMap { name, text in text.map { (name, $0) } }
    }

    /// A stream that no shard has written to.
    init(_ subscription: Subscription, because reason: StreamEnd) {
        let terms = subscription.lease?.terms
        self.init(
            reason: reason, topics: subscription.selection.selectors, principal: terms?.principal, name: terms?.name,
            client: subscription.client ?? StreamClient())
    }
}

/// Where a stream was requested from.
public struct StreamClient: Hashable, Sendable {
    /// The address of the other end of the connection: of the client or a proxy. `nil` if it is not known.
    public var address: String?
    /// How the client, or a proxy, called the request.
    public var requestID: String?
    /// The trace that the request was part of.
    public var trace: TraceParent?

    public init(address: String? = nil, requestID: String? = nil, trace: TraceParent? = nil) {
        self.address = address
        self.requestID = requestID
        self.trace = trace
    }
}

/// Why a stream has ended.
public enum StreamEnd: String, CaseIterable, Hashable, Sendable {
    /// The client left, or its connection broke.
    case client
    /// The client took nothing for the write timeout.
    case slow
    /// The connection was as old as it may get.
    case age
    /// All topics have ended, and everything was written.
    case ended
    /// The right to the stream has ended.
    case expired
    /// The right to the stream was taken back.
    case revoked
    /// The hub drained.
    case drained
    /// The hub stopped.
    case stopped
}
