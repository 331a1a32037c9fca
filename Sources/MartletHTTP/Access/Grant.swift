// SPDX-License-Identifier: Apache-2.0

public import Foundation
import HTTPTypes
public import Martlet

/// What somebody may do with a hub, and until when.
public struct Grant: Hashable, Sendable {
    /// Who it is, so that his streams can be told from those of others: to be revoked and renewed. `nil`: nobody in
    /// particular.
    public var principal: String?
    /// The topics whose private events he receives where he subscribes to them. Unless ``seesAllPublic``, he may
    /// subscribe to nothing else.
    public var subscribe: Set<TopicSelector>
    /// Whether he may subscribe to whatever he likes, and receives the public events of it.
    public var seesAllPublic: Bool
    /// The topics that he may publish to.
    public var publish: Set<TopicSelector>
    /// When all this ends, and the streams that were opened with it. `nil`: it does not.
    public var end: Date?
    /// Not `nil`: he may subscribe to nothing but these, whatever else is granted.
    package var limitedTo: Set<TopicSelector>?
    /// When it was asked for; `nil`: now.
    package var judged: ContinuousClock.Instant?
    /// What others who may see his subscriptions are told of him: JSON.
    public var payload: String?

    public init(
        principal: String? = nil,
        subscribe: Set<TopicSelector> = [],
        seesAllPublic: Bool = false,
        publish: Set<TopicSelector> = [],
        end: Date? = nil,
        payload: String? = nil
    ) {
        self.principal = principal
        self.subscribe = subscribe
        self.seesAllPublic = seesAllPublic
        self.publish = publish
        self.end = end
        self.payload = payload
    }
}

extension Grant {
    /// Throws 403 where he may not publish to one of the topics.
    package func checkPublishing(to topics: some Sequence<Topic>) throws(Problem) {
        guard let topic = topics.first(where: { topic in !publish.contains { $0.matches(topic) } }) else { return }
        throw Problem(.forbidden, "Publishing to the topic \(topic) is not granted.", field: "topic")
    }

    /// Whose his idempotency keys are, so that no other's are the same. All who are nobody in particular share theirs.
    package var keyScope: String { principal.map { "=\($0)" } ?? "" }

    /// The terms of a stream that is opened with the grant.
    package func terms(name: String? = nil, companion: (any AnyObject & Sendable)? = nil) -> LeaseTerms {
        LeaseTerms(principal: principal, name: name, end: instantOfEnd, judged: judged ?? .now, companion: companion)
    }

    /// When it ends, by a clock that nobody sets.
    var instantOfEnd: ContinuousClock.Instant? {
        end.map { end in
            let seconds = end.timeIntervalSinceNow
            // A duration cannot hold every number of seconds. A date that is not a number is in the past.
            return .now + .seconds(seconds.isNaN ? 0 : min(max(seconds, -Self.mostSeconds), Self.mostSeconds))
        }
    }

    /// A century: a date that is further away counts as that far.
    private static let mostSeconds = 100.0 * 365 * 86_400

    /// Throws 403 where he may not subscribe to one of the selectors.
    ///
    /// A selector is granted by `*`, by itself, and, where it is the name of one topic, by a template that selects it.
    package func checkSubscribing(to selectors: some Collection<TopicSelector>) throws(Problem) {
        if let limitedTo, let refused = selectors.first(where: { !limitedTo.contains($0) }) {
            throw Problem(.forbidden, "Subscribing to \(refused) is not what this was given out for.", field: "topic")
        }
        guard !seesAllPublic, !subscribe.contains(.every) else { return }
        let refused = selectors.first { selector in
            guard !subscribe.contains(selector) else { return false }
            guard let topic = selector.exactTopic else { return true }
            return !subscribe.contains { $0.matches(topic) }
        }
        guard let refused else { return }
        throw Problem(.forbidden, "Subscribing to \(refused) is not granted.", field: "topic")
    }
}
