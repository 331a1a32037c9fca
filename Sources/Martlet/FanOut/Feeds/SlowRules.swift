// SPDX-License-Identifier: Apache-2.0

/// What slow subscribers of some topics do not receive.
struct SlowRules: Sendable {
    /// The topics of which only the newest value of each key counts; `nil` if there are none.
    let latest: Selection?
    /// The topics whose subscribers go on at the tail when they fall out of the window.
    private let skipped: Set<TopicSelector>
    private let skippedTopics: Selection

    /// - Parameters:
    ///   - latest: See ``HubConfiguration/latestTopics``.
    ///   - skipped: See ``HubConfiguration/skippedTopics``.
    init(latest: Set<TopicSelector> = [], skipped: Set<TopicSelector> = []) {
        self.latest = latest.isEmpty ? nil : Selection(selectors: latest)
        self.skipped = skipped
        skippedTopics = Selection(selectors: skipped)
    }

    /// Whether all that a selection asks for may be skipped.
    func skips(_ selection: Selection) -> Bool {
        guard !skipped.isEmpty else { return false }
        return selection.topics.allSatisfy(skippedTopics.selects)
            && (skipped.contains(.every) || selection.patterns.allSatisfy(skipped.contains))
    }
}
