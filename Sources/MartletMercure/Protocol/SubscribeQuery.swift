// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHTTP

/// The topics that a subscriber asks for in version 0 (draft-dunglas-mercure-07, section "Subscription").
struct SubscribeQuery: Sendable {
    /// At least one, each once, in the order of the query.
    let selectors: [TopicSelector]

    /// Also checks the id of the last event, if it is in the query.
    ///
    /// - Throws: ``MercureProblem`` of status 400, or ``Problem`` if the query is malformed. Judge the credentials first.
    init(_ request: HubRequest, limits: Limits = Limits()) throws {
        let query = try request.query
        let texts = query.values("topic")
        if let name = query.all.lazy.map(\.name).first(where: \.isMatcher) {
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
        if let (id, parameter) = try request.lastEventID, let parameter,
            id.utf8.count > limits.idBytes || id.hasControlCharacters
        {
            let message = "The id is over \(limits.idBytes) bytes or has control characters; no event has such an id."
            throw MercureProblem(400, message, field: parameter)
        }
    }
}

extension String {
    /// Whether the name begins with `match`, in any case (ASCII): the parameters of version 1.
    fileprivate var isMatcher: Bool { utf8.prefix(5).map { $0 | 0x20 }.elementsEqual("match".utf8) }
}
