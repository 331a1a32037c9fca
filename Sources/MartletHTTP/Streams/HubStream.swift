// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// What a client gets from a hub: which topics, and with what rights.
public struct HubStream: Sendable {
    public var topics: Set<TopicSelector>
    /// What the client may do: it is refused where the topics are not within this, receives private events only where this
    /// grants them, and its stream ends when this does.
    public var grant: Grant

    /// - Parameter grant: By default that of anybody: what is public.
    public init(topics: Set<TopicSelector>, grant: Grant = Grant(seesAllPublic: true)) {
        self.topics = topics
        self.grant = grant
    }

    public init(_ topics: Topic..., grant: Grant = Grant(seesAllPublic: true)) {
        self.init(topics: Set(topics.map { TopicSelector($0) }), grant: grant)
    }
}
