// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHTTP
import Synchronization

/// What is known of a stream to others: goes with the stream, and has its subscriptions ended when it is released.
final class ActiveConnection: StreamCompanion {
    struct Entry: Hashable, Sendable {
        let subscriber: String
        /// In the order of the request.
        let selectors: [String]
        /// JSON.
        let payload: String?
        /// The how-manieth connection of its node it is.
        var arrival = 0

        func documents(isActive: Bool = true) -> [SubscriptionDocument] {
            selectors.map { document(of: $0, isActive: isActive) }
        }

        /// - Parameter selector: One of those of the connection.
        func document(of selector: String, isActive: Bool = true) -> SubscriptionDocument {
            SubscriptionDocument(selector: selector, subscriber: subscriber, isActive: isActive, payload: payload)
        }
    }

    private let entry: Entry
    private let all: ActiveSubscriptions
    private let isActive = Mutex(false)

    init(selectors: [TopicSelector], payload: String?, in all: ActiveSubscriptions) {
        entry = Entry(subscriber: SubscriberID.make(), selectors: selectors.map(\.text), payload: payload)
        self.all = all
    }

    /// Announces the subscriptions. Called once, when the hub has them: so who subscribes to subscriptions hears of
    /// himself.
    func streamBegins() {
        isActive.withLock { $0 = true }
        all.insert(entry)
    }

    deinit {
        if isActive.withLock({ $0 }) { all.remove(entry) }
    }
}
