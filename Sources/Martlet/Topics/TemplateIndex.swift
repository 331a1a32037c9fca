// SPDX-License-Identifier: Apache-2.0

/// Finds among many templates those that select a topic, by the literal text that the templates have.
///
/// A tree whose nodes hold a few templates each. A node that has more than that tells them apart by one of their anchors:
/// the root by the first, its children by the second, and so on. So a look-up goes to the templates that have the same
/// literal text as the topic, however many others there are, and holds the topic against each of those.
///
/// For a topic of n bytes a look-up takes n steps, and in each node that it comes to a step for each length of anchors
/// there, or n steps for each in nodes that tell templates apart by text in their middle. A change takes as many steps
/// as the template has anchors.
struct TemplateIndex<Value> {
    private var root = TemplateNode<Value>()

    /// The most templates of a node that may still be told apart.
    static var crowd: Int { 32 }

    /// - Parameter template: Not one that is there already.
    mutating func insert(_ value: Value, for template: TemplateMatcher) {
        root.insert(TemplateNode.Entry(template: template, value: value), depth: 0)
    }

    /// - Parameter template: The same instance that was inserted.
    mutating func remove(_ template: TemplateMatcher) { root.remove(template, depth: 0) }

    /// Calls back with the values of the templates that select a topic, each once, until it answers `false`.
    ///
    /// - Returns: whether it never did.
    @discardableResult
    func visit(selecting topic: Topic, _ body: (Value) -> Bool) -> Bool {
        let bytes = Array(topic.name.utf8)
        return visitCandidates(of: bytes) { template, value in !template.matches(bytes) || body(value) }
    }

    /// Calls back with all templates that may select a topic, each once, until it is answered `false`.
    func visitCandidates(of topic: [UInt8], _ body: (TemplateMatcher, Value) -> Bool) -> Bool {
        root.branches.isEmpty ? root.visitEntries(body) : root.visit(HashedText(topic), depth: 0, body)
    }
}

extension TemplateIndex: Sendable where Value: Sendable {}

private struct TemplateNode<Value> {
    struct Entry {
        let template: TemplateMatcher
        let value: Value
    }

    /// Empty where there are branches.
    private var entries: [Entry] = []
    private(set) var branches: [Anchor: TemplateNode<Value>] = [:]
    /// How many branches there are, by the length of their anchors.
    private var lengths: [Int: Int] = [:]

    private var isEmpty: Bool { entries.isEmpty && branches.isEmpty }

    mutating func insert(_ entry: Entry, depth: Int) {
        guard branches.isEmpty else { return branch(entry, depth) }
        entries.append(entry)
        guard entries.count > TemplateIndex<Value>.crowd, depth < TemplateMatcher.mostAnchors else { return }
        for entry in entries { branch(entry, depth) }
        entries = []
    }

    private mutating func branch(_ entry: Entry, _ depth: Int) {
        let anchor = entry.template.anchor(depth)
        if branches[anchor] == nil { lengths[anchor.length, default: 0] += 1 }
        branches[anchor, default: TemplateNode()].insert(entry, depth: depth + 1)
    }

    mutating func remove(_ template: TemplateMatcher, depth: Int) {
        if let place = entries.firstIndex(where: { $0.template === template }) {
            entries.swapAt(place, entries.count - 1)
            entries.removeLast()
            return
        }
        let anchor = template.anchor(depth)
        branches[anchor]?.remove(template, depth: depth + 1)
        guard branches[anchor]?.isEmpty == true else { return }
        branches[anchor] = nil
        lengths[anchor.length, default: 1] -= 1
        if lengths[anchor.length] == 0 { lengths[anchor.length] = nil }
    }

    func visit(_ topic: HashedText, depth: Int, _ body: (TemplateMatcher, Value) -> Bool) -> Bool {
        if branches.isEmpty { return visitEntries(body) }
        var visited: Set<Anchor> = []
        for length in lengths.keys where length <= topic.bytes.count {
            for start in Self.starts(of: length, in: topic.bytes.count, depth) {
                let anchor = topic.anchor(at: start, length: length)
                guard let branch = branches[anchor] else { continue }
                // Text in the middle may come several times.
                if depth > 1, !visited.insert(anchor).inserted { continue }
                guard branch.visit(topic, depth: depth + 1, body) else { return false }
            }
        }
        return true
    }

    /// Where in a topic an anchor of a length may begin: the first anchor at the start, the second at the end, the others
    /// anywhere.
    private static func starts(of length: Int, in count: Int, _ depth: Int) -> ClosedRange<Int> {
        switch depth {
        case 0: 0...0
        case 1: count - length...count - length
        default: 0...(length == 0 ? 0 : count - length)
        }
    }

    func visitEntries(_ body: (TemplateMatcher, Value) -> Bool) -> Bool {
        entries.allSatisfy { body($0.template, $0.value) }
    }
}

extension TemplateNode: Sendable where Value: Sendable {}
extension TemplateNode.Entry: Sendable where Value: Sendable {}

/// Counts the templates that subscriptions of a node ask for, so that no topic has to be held against very many: there
/// may be any number of templates with literal text of their own, and only so many with the same.
struct TemplateCensus {
    /// By how many feeds each template is asked for.
    private var uses: [TopicSelector: Int] = [:]
    /// How many different templates there are with the same literal text.
    private var alike: [[Anchor]: Int] = [:]
    private let mostAlike: Int

    static let defaultMostAlike = 256

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
