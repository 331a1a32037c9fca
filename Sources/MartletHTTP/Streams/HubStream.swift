// SPDX-License-Identifier: Apache-2.0

import EventStream
import Hummingbird
public import Martlet
public import MartletValues

/// The part of a hub that a client receives: the topics, and its rights.
public struct HubStream: Sendable {
    /// The topics, or patterns of topics.
    public var topics: Set<TopicSelector>
    /// The rights of the client. It is refused if the topics are outside them, receives only the private events that
    /// they grant, and its stream ends when they end.
    public var grant: Grant
    /// Whether a client begins with the current value of each key, unless it goes on where it was.
    public var beginsWithValues = false
    /// What the stream has besides events.
    public var profile = StreamProfile.standard
    /// The name under which the topics of the stream can be changed, which its first event says; `nil`: they cannot.
    var control: String?
    /// Follows the life of the stream.
    package var companion: (any StreamCompanion)?
    /// Returns the first event for a client that does not resume, and the position after which the others follow.
    var state: (@Sendable () async throws -> (current: ServerSentEvent?, position: Position))?

    /// - Parameter grant: By default every public event, and no private ones.
    public init(topics: Set<TopicSelector>, grant: Grant = Grant(seesAllPublic: true)) {
        self.topics = topics
        self.grant = grant
    }

    /// - Parameter grant: By default every public event, and no private ones.
    public init(_ topics: Topic..., grant: Grant = Grant(seesAllPublic: true)) {
        self.init(topics: Set(topics.map { TopicSelector($0) }), grant: grant)
    }

    /// The current value first, and then each newer one. A client that comes back continues after the last value that it
    /// saw, or receives the current value if history does not reach back that far.
    ///
    /// - Parameter grant: By default every public event, and no private ones.
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
