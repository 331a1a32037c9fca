// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// A subscription as JSON-LD (draft-dunglas-mercure-07, section "Active Subscriptions"): the data of its events, and
/// what the API answers. The members are always in the same order, so equal subscriptions have equal bytes.
struct SubscriptionDocument: Sendable {
    static let contentType = "application/ld+json"
    static let context = "https://mercure.rocks/"

    /// The selector, as the subscriber wrote it.
    var selector: String
    /// Which connection: see ``SubscriberID``.
    var subscriber: String
    var isActive: Bool
    /// The payload of the token, which must be JSON already. `nil`: none.
    var payload: String?

    var path: SubscriptionPath { .one(selector: selector, subscriber: subscriber) }

    /// The data of an event.
    var json: String { "{\(Self.member("@context", Self.context)),\(members)}" }

    /// The answer of the API for one subscription.
    ///
    /// - Parameter lastEventID: The id of the last event that was published when the answer was made.
    func json(lastEventID: String) -> String {
        "{\(Self.member("@context", Self.context)),\(members),\(Self.member("lastEventID", lastEventID))}"
    }

    /// The answer of the API for several subscriptions.
    ///
    /// - Parameter path: What was asked for, which is the `id` of the collection.
    static func json(
        _ subscriptions: some Sequence<SubscriptionDocument>, at path: SubscriptionPath, lastEventID: String
    ) -> String {
        let head = [
            member("@context", context), member("id", path.text), member("type", "Subscriptions"),
            member("lastEventID", lastEventID),
        ]
        let items = subscriptions.map { "{\($0.members)}" }.joined(separator: ",")
        return "{\(head.joined(separator: ",")),\"subscriptions\":[\(items)]}"
    }

    /// At least as many bytes as ``json``: of the selector three for each in the path, and six in JSON.
    var mostBytes: Int { 9 * selector.utf8.count + 4 * subscriber.utf8.count + (payload?.utf8.count ?? 0) + 256 }

    private var members: String {
        var members = [
            Self.member("id", path.text), Self.member("type", "Subscription"), Self.member("subscriber", subscriber),
            Self.member("topic", selector), "\"active\":\(isActive)",
        ]
        if let payload { members.append("\"payload\":\(payload)") }
        return members.joined(separator: ",")
    }

    private static func member(_ name: String, _ value: String) -> String { "\"\(name)\":\(value.jsonQuoted)" }
}
