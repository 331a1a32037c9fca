// SPDX-License-Identifier: Apache-2.0

public import Foundation
import HTTPTypes
public import Martlet

/// What a client may do with a hub, and until when.
public struct Grant: Hashable, Sendable {
    /// The name by which the streams of the client can be revoked and renewed. `nil`: the client is anonymous.
    public var principal: String?
    /// The topics whose private events the client receives if it subscribes to them. Unless ``seesAllPublic`` is set, the
    /// client may subscribe to nothing else.
    public var subscribe: Set<TopicSelector>
    /// Whether the client may subscribe to every topic, and receives its public events.
    public var seesAllPublic: Bool
    /// The topics that the client may publish to.
    public var publish: Set<TopicSelector>
    /// When the grant and the streams that were opened with it end. `nil`: never.
    public var end: Date?
    /// Not `nil`: the client may subscribe to these topics only, whatever else is granted.
    package var limitedTo: Set<TopicSelector>?
    /// When the access was asked for the grant; `nil`: now.
    package var judged: ContinuousClock.Instant?
    /// Describes the client to those who may see its subscriptions: JSON.
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
    /// Throws 403 if the client may not publish to one of the topics of an event.
    package func checkPublishing(_ event: Event) throws(Problem) {
        try checkPublishing(to: event.topic)
        for topic in event.alternates { try checkPublishing(to: topic) }
    }

    func checkPublishing(to topic: Topic) throws(Problem) {
        guard !publish.contains(where: { $0.matches(topic) }) else { return }
        throw Problem(.forbidden, "Publishing to the topic \(topic) is not granted.", field: "topic")
    }

    /// Throws 403 if the client may not subscribe to one of the selectors.
    ///
    /// `*` grants every selector. Another selector in the grant grants itself, and a template grants each topic that it
    /// selects.
    package func checkSubscribing(to selectors: some Collection<TopicSelector>) throws(Problem) {
        if let limitedTo, let refused = selectors.first(where: { !limitedTo.contains($0) }) {
            throw Problem(.forbidden, "The ticket is not for \(refused).", field: "topic")
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

    /// Scopes idempotency keys to the principal. All anonymous clients share one scope.
    package var keyScope: String { principal.map { "=\($0)" } ?? "" }

    /// The terms of a stream that is opened with the grant.
    func terms(name: String?, companion: (any AnyObject & Sendable)?) -> LeaseTerms {
        LeaseTerms(principal: principal, name: name, end: instantOfEnd, judged: judged ?? .now, companion: companion)
    }

    /// The end by a clock that does not jump.
    var instantOfEnd: ContinuousClock.Instant? {
        end.map { end in
            let seconds = end.timeIntervalSinceNow
            // A duration cannot hold every number of seconds. A date that is not a number is in the past.
            return .now + .seconds(seconds.isNaN ? 0 : min(max(seconds, -Self.mostSeconds), Self.mostSeconds))
        }
    }

    /// A century: a date that is further away counts as that far.
    private static let mostSeconds = 100.0 * 365 * 86_400

    /// Whether the grant differs from that of a client without credentials.
    var isPersonal: Bool {
        principal != nil || end != nil || payload != nil || limitedTo != nil || !subscribe.isEmpty || !seesAllPublic
    }
}
