// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// A URI template in the form that topics are matched with: the literal text at its two ends, which is compared, and an
/// automaton for what is between. Copies of a selector share it.
final class TemplateMatcher: Sendable {
    /// What tells the template from others, the best first: the literal text at the start, that at the end, then the
    /// longest pieces between. Of a piece between, the last 16 bytes are an anchor, and the last 64 are the next if there
    /// are more than 16: the few lengths of the first kind keep a search for them short.
    ///
    /// Every topic that the template stands for begins with the first, ends with the second, and has the others in it.
    let anchors: [Anchor]
    /// An anchor by its number; the empty one where there are fewer.
    func anchor(_ number: Int) -> Anchor { anchors.indices.contains(number) ? anchors[number] : .none }

    /// How many words its states fill.
    var width: Int { automaton.width }

    private let text: ExactText
    private let prefixCount: Int
    private let suffixCount: Int
    private let automaton: TemplateAutomaton

    /// The most anchors of a template. Literal text beyond them tells no templates apart.
    static let mostAnchors = 6
    private static let shortAnchorBytes = 16

    init(_ template: URITemplate, text: ExactText) {
        let literals = template.literals
        let (prefix, suffix) = (literals[0], literals[literals.count - 1])
        self.text = text
        prefixCount = prefix.count
        suffixCount = suffix.count
        automaton = TemplateAutomaton(template.middle)
        let inner = literals.dropFirst().dropLast().filter { !$0.isEmpty }.sorted { $0.count > $1.count }
        let anchors =
            [Anchor(prefix), Anchor(suffix.suffix(Anchor.mostBytes))]
            + inner.prefix(Self.mostAnchors).flatMap { piece in
                [Anchor(piece.suffix(Self.shortAnchorBytes))]
                    + (piece.count > Self.shortAnchorBytes ? [Anchor(piece.suffix(Anchor.mostBytes))] : [])
            }
        self.anchors = Array(anchors.prefix(Self.mostAnchors))
    }

    /// Whether the template can stand for a topic, or is the same text.
    func matches(_ topic: [UInt8]) -> Bool {
        let text = text.string.utf8
        if topic.count >= prefixCount + suffixCount, topic.starts(with: text.prefix(prefixCount)),
            topic.suffix(suffixCount).elementsEqual(text.suffix(suffixCount)),
            automaton.matches(topic[prefixCount..<topic.count - suffixCount])
        {
            return true
        }
        return topic.count == text.count && text.elementsEqual(topic)
    }
}
