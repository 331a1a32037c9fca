// SPDX-License-Identifier: Apache-2.0

/// Counts the templates that subscriptions of a node ask for, so that no topic has to be held against very many: there
/// may be any number of templates with literal text of their own, and only so many with the same.
struct TemplateCensus {
    /// By how many feeds each template is asked for.
    private var uses: [TopicSelector: Int] = [:]
    /// How many different templates there are with the same literal text.
    private var alike: [[Anchor]: Int] = [:]
    private let mostAlike: Int

    /// - Parameter mostAlike: The most different templates with the same literal text.
    init(mostAlike: Int) { self.mostAlike = mostAlike }

    /// How many different templates there are.
    var count: Int { uses.count }

    /// Counts the templates of one more feed.
    ///
    /// - Throws: ``MartletError`` where these are too many; nothing has changed then.
    mutating func insert(_ patterns: [TopicSelector]) throws(MartletError) {
        for (number, pattern) in patterns.enumerated() {
            guard let template = pattern.template else { continue }
            if uses[pattern] == nil {
                guard alike[template.anchors, default: 0] < mostAlike else {
                    remove(patterns[..<number])
                    let message =
                        "Subscribers ask for \(mostAlike) templates already that have the same literal text as \(pattern). "
                        + "Use one of theirs, or another topic."
                    throw MartletError(.invalidSubscription, field: "topic", message)
                }
                alike[template.anchors, default: 0] += 1
            }
            uses[pattern, default: 0] += 1
        }
    }

    /// A feed has gone.
    mutating func remove(_ patterns: some Sequence<TopicSelector>) {
        for pattern in patterns {
            guard let template = pattern.template else { continue }
            uses[pattern, default: 0] -= 1
            guard uses[pattern] == 0 else { continue }
            uses[pattern] = nil
            alike[template.anchors, default: 0] -= 1
            if alike[template.anchors] == 0 { alike[template.anchors] = nil }
        }
    }
}
