// SPDX-License-Identifier: Apache-2.0

import EventStream
public import Martlet

/// What a client gets from a hub: which topics, and with what rights.
public struct HubStream: Sendable {
    public var topics: Set<TopicSelector>
    /// What the client may do: it is refused where the topics are not within this, receives private events only where this
    /// grants them, and its stream ends when this does.
    public var grant: Grant
    /// What a client is given first that does not go on from somewhere, and the position after which the rest follows.
    var state: (@Sendable () async throws -> (current: ServerSentEvent?, position: Position))?

    /// - Parameter grant: By default that of anybody: what is public.
    public init(topics: Set<TopicSelector>, grant: Grant = Grant(seesAllPublic: true)) {
        self.topics = topics
        self.grant = grant
    }

    public init(_ topics: Topic..., grant: Grant = Grant(seesAllPublic: true)) {
        self.init(topics: Set(topics.map { TopicSelector($0) }), grant: grant)
    }

    /// The present value first, and then each newer one. A client that comes back goes on after what it saw last, and is
    /// given the present value where history does not reach back that far.
    public init<Value>(_ state: StateTopic<Value>, grant: Grant = Grant(seesAllPublic: true)) {
        self.init(state.topic, grant: grant)
        self.state = {
            let (current, position) = try await state.look()
            let event = try current.map { current in
                ServerSentEvent(event: current.type, data: try EventJSON.text(of: current.value), id: current.id)
            }
            return (event, position)
        }
    }
}
