// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHTTP
import MartletSupport
import Synchronization

/// The active subscriptions of one stream. It lives as long as the stream; when it is released, the subscriptions end.
final class ActiveConnection: StreamCompanion {
    struct Entry: Hashable, Sendable {
        let subscriber: String
        /// The selectors in the order of the request.
        let selectors: [String]
        /// JSON.
        let payload: String?
        /// The number of the connection on its node, counted from 1.
        var arrival = 0

        func documents(isActive: Bool = true) -> [SubscriptionDocument] {
            selectors.map { document(of: $0, isActive: isActive) }
        }

        /// - Parameter selector: A selector of the connection.
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

    /// Announces the subscriptions. The hub has them already, so a client that subscribes to subscriptions receives its own.
    func streamBegins() {
        isActive.withLock { $0 = true }
        all.insert(entry)
    }

    deinit {
        if isActive.withLock({ $0 }) { all.remove(entry) }
    }
}

/// The id of a connection in the events of its subscriptions: `urn:uuid:` and a random UUID (RFC 9562 section 5.4).
enum SubscriberID {
    static func make(using random: inout some RandomNumberGenerator) -> String {
        let high = random.next() & ~0xF000 | 0x4000
        let low = random.next() & ~(0xC0 << 56) | 0x80 << 56
        let (a, b) = (high.hexText, low.hexText)
        return "urn:uuid:\(a.prefix(8))-\(a.dropFirst(8).prefix(4))-\(a.suffix(4))-\(b.prefix(4))-\(b.suffix(12))"
    }

    static func make() -> String {
        var random = SystemRandomNumberGenerator()
        return make(using: &random)
    }
}
