// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHTTP

/// What a subscriber asks for in v0 (draft-dunglas-mercure-07, sections "Subscription" and "Reconciliation").
struct SubscribeQuery: Sendable {
    /// At least one, each once, in the order of the query.
    let selectors: [TopicSelector]
    /// After which event the stream begins. `nil`: with what is published from now on.
    let lastEventID: String?

    /// Where the last event's id is looked for, in this order. Only the first is of draft-07; the second is of v1, and
    /// the third of drafts before 07.
    static let lastEventIDNames = ["lastEventID", "last_event_id", "Last-Event-ID"]

    /// - Parameters:
    ///   - header: The value of the `Last-Event-ID` header, which wins over the query unless it is empty.
    /// - Throws: ``MercureProblem`` of status 400. Judge the credentials first.
    init(
        _ query: [(name: String, value: String)], header: String?, limits: Limits = Limits()
    ) throws(MercureProblem) {
        let texts = query.values("topic")
        if let name = query.lazy.map(\.name).first(where: \.isMatcher) {
            let message =
                texts.isEmpty
                ? "The parameter \(name) is of version 1 of the protocol, which is not spoken here yet. Use topic."
                : "The parameters topic and \(name) belong to two versions of the protocol. Use topic only."
            throw MercureProblem(400, message, field: name)
        }
        guard !texts.isEmpty, texts.count <= limits.topicsPerSubscription else {
            let message = "Name 1 to \(limits.topicsPerSubscription) topics, as in ?topic=a; these are \(texts.count)."
            throw MercureProblem(400, message, field: "topic")
        }
        var seen: Set<TopicSelector> = []
        var selectors: [TopicSelector] = []
        for text in texts {
            guard !text.isEmpty, text.utf8.count <= limits.topicBytes, !text.hasControlCharacters else {
                let message = "A topic is empty, over \(limits.topicBytes) bytes, or has control characters. Mend it."
                throw MercureProblem(400, message, field: "topic")
            }
            let selector = TopicSelector(text)
            if seen.insert(selector).inserted { selectors.append(selector) }
        }
        self.selectors = selectors
        lastEventID = try Self.lastEventID(query, header: header, limits)
    }

    private static func lastEventID(
        _ query: [(name: String, value: String)], header: String?, _ limits: Limits
    ) throws(MercureProblem) -> String? {
        if let header, !header.isEmpty { return header }
        for name in lastEventIDNames {
            guard let id = query.text(name) else { continue }
            guard id.utf8.count <= limits.idBytes, !id.hasControlCharacters else {
                let message = "The id is over \(limits.idBytes) bytes or has control characters; no event has such one."
                throw MercureProblem(400, message, field: name)
            }
            return id
        }
        return nil
    }
}

extension String {
    /// Whether the name begins with `match`, in any case (ASCII): the parameters of v1.
    fileprivate var isMatcher: Bool { utf8.prefix(5).map { $0 | 0x20 }.elementsEqual("match".utf8) }
}
