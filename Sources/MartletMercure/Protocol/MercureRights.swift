// SPDX-License-Identifier: Apache-2.0

import Martlet

/// What a token of v0 allows: the lists of its claim `mercure` (draft-dunglas-mercure-07, section "Authorization").
struct MercureRights: Sendable {
    /// `nil`: may not publish at all.
    let publish: [TopicSelector]?
    let subscribe: [TopicSelector]

    /// No token: public updates, and no publishing.
    static let anonymous = MercureRights(publish: nil, subscribe: [])

    init(publish: [String]?, subscribe: [String]) {
        self.publish = publish?.map { TopicSelector($0) }
        self.subscribe = subscribe.map { TopicSelector($0) }
    }

    /// The first of the topics that the token does not let publish to. `nil`: it may publish to all of them.
    func firstNotPublishable(of topics: [Topic]) -> Topic? {
        topics.first { topic in publish?.contains { $0.matches(topic) } != true }
    }

    /// Whether an update reaches who subscribes to these selectors with these rights: any of its topics is selected;
    /// and if it is private, any of them, which may be another, is granted.
    func mayReceive(_ topics: [Topic], isPrivate: Bool, subscribedTo selectors: [TopicSelector]) -> Bool {
        topics.areSelected(by: selectors) && (!isPrivate || topics.areSelected(by: subscribe))
    }

    /// Whether the token lets read this of the API of subscriptions: the path of the request is granted.
    func mayRead(_ path: SubscriptionPath) -> Bool {
        guard let topic = try? Topic(path.text) else { return false }
        return [topic].areSelected(by: subscribe)
    }
}

extension [Topic] {
    /// Whether any selector selects any of the topics.
    fileprivate func areSelected(by selectors: [TopicSelector]) -> Bool {
        contains { topic in selectors.contains { $0.matches(topic) } }
    }
}
