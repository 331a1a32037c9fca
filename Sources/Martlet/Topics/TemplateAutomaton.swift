// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// A URI template in the form that topics are matched with: a nondeterministic automaton whose states are the bits of
/// a few words, so that all of them step at once (Navarro and Raffinot, *Flexible Pattern Matching in Strings*, 2002,
/// chapter 4).
///
/// The states stand in the order of the template. A state may read one certain byte, which leads to the next state, and
/// may keep kinds of bytes, which lead back to it. A literal byte is a state that reads it. An expression is a state
/// that reads its first byte, where it has one, then a state for each value, which keeps what is in values and reads
/// the separator where another value may follow; all of them lead to the state after the expression without a byte.
/// The last state is the end of the template.
///
/// There is at most one state more than the template has bytes. A match goes through the topic once, and for each byte
/// of it a fixed number of times through the words of the states, for any two texts.
struct TemplateAutomaton: Sendable {
    let stateCount: Int
    /// The bytes that any state reads, each once.
    private let bytes: [UInt8]
    /// The rows of ``Row``, then a row of states for each of these bytes: those that read it.
    private var rows: BitRows

    private enum Row {
        /// The states of expressions.
        static let insides = TopicByteKind.allCases.count
        /// The states right after an expression.
        static let exits = insides + 1
        static let count = exits + 1

        /// The states that keep bytes of a kind.
        static func keeping(_ kind: TopicByteKind) -> Int { kind.rawValue }
    }

    init(_ template: URITemplate) {
        stateCount = template.parts.reduce(1) { $0 + Self.stateCount(of: $1) }
        bytes = Array(Set(template.parts.flatMap(Self.bytes)))
        rows = BitRows(rows: bytes.count + Row.count, bits: stateCount)
        var state = 0
        for part in template.parts {
            switch part {
            case .literal(let byte): read(byte, at: state)
            case .expression(let expression): add(expression, at: state)
            }
            state += Self.stateCount(of: part)
        }
    }

    /// How many words the states fill.
    var width: Int { rows.width }

    func matches(_ text: ArraySlice<UInt8>) -> Bool {
        var active = BitRow(width: width)
        active.insert(0)
        leaveExpressions(&active)
        var rest = text.makeIterator()
        while !active.isEmpty, let byte = rest.next() {
            if byte == UInt8(ascii: "%") {
                // A template has triplets only as a whole, in literals and in values.
                guard let high = rest.next(), let low = rest.next(), high.isHexDigit, low.isHexDigit else {
                    return false
                }
                let before = active
                step(&active, over: byte, keeping: .other)
                step(&active, over: high, keeping: .other)
                step(&active, over: low, keeping: .other)
                keepTriplet(from: before, in: &active)
            } else {
                step(&active, over: byte, keeping: TopicByteKind(byte))
            }
            leaveExpressions(&active)
        }
        return active.contains(stateCount - 1)
    }

    private static func stateCount(of part: URITemplate.Part) -> Int {
        switch part {
        case .literal: 1
        case .expression(let expression): (expression.op.first == nil ? 0 : 1) + expression.values
        }
    }

    /// The bytes that the states of a part read.
    private static func bytes(of part: URITemplate.Part) -> [UInt8] {
        switch part {
        case .literal(let byte): [byte]
        case .expression(let expression):
            [expression.op.first].compactMap(\.self) + (expression.values > 1 ? [expression.op.separator] : [])
        }
    }

    private mutating func read(_ byte: UInt8, at state: Int) {
        guard let place = bytes.firstIndex(of: byte) else { return }
        rows.insert(state, row: Row.count + place)
    }

    private mutating func add(_ expression: TemplateExpression, at start: Int) {
        var state = start
        if let first = expression.op.first {
            read(first, at: state)
            rows.insert(state, row: Row.insides)
            state += 1
        }
        for value in 1...expression.values {
            for kind in TopicByteKind.allCases where expression.keeps(kind) {
                rows.insert(state, row: Row.keeping(kind))
            }
            if value < expression.values { read(expression.op.separator, at: state) }
            rows.insert(state, row: Row.insides)
            state += 1
        }
        rows.insert(state, row: Row.exits)
    }

    private func step(_ active: inout BitRow, over byte: UInt8, keeping kind: TopicByteKind) {
        let place = bytes.firstIndex(of: byte)
        var carry: UInt64 = 0
        for word in 0..<active.width {
            let reading = place.map { active[word] & rows[word, row: Row.count + $0] } ?? 0
            active[word] = reading << 1 | carry | active[word] & rows[word, row: Row.keeping(kind)]
            carry = reading >> 63
        }
    }

    /// Adds the states of before a triplet that keep it: a triplet is in every value that a plain byte is in.
    private func keepTriplet(from before: BitRow, in active: inout BitRow) {
        for word in 0..<active.width { active[word] |= before[word] & rows[word, row: Row.keeping(.plain)] }
    }

    /// Adds the states that an active one leads to without a byte.
    ///
    /// Where expressions follow each other, their states are a run of ones in `insides`, and the lowest active one
    /// leads to every exit above it, up to the first state behind the run. When the active ones are added to the run,
    /// it is just these bits that are carried into.
    private func leaveExpressions(_ active: inout BitRow) {
        var carry: UInt64 = 0
        for word in 0..<active.width {
            let run = rows[word, row: Row.insides]
            let leaving = active[word] & run
            let (partial, overflows) = run.addingReportingOverflow(leaving)
            let (sum, carryOverflows) = partial.addingReportingOverflow(carry)
            active[word] |= rows[word, row: Row.exits] & (sum ^ run ^ leaving)
            carry = overflows || carryOverflows ? 1 : 0
        }
    }
}

extension UInt8 {
    fileprivate var isHexDigit: Bool { Unicode.Scalar(self).properties.isASCIIHexDigit }
}

/// Rows of bits, all of one length, in words of 64.
struct BitRows: Sendable {
    /// The words of one row.
    let width: Int
    private var words: [UInt64]

    init(rows: Int, bits: Int) {
        width = (bits + 63) / 64
        words = Array(repeating: 0, count: rows * width)
    }

    subscript(word: Int, row row: Int) -> UInt64 {
        get { words[row * width + word] }
        set { words[row * width + word] = newValue }
    }

    mutating func insert(_ bit: Int, row: Int) { self[bit / 64, row: row] |= 1 << UInt64(bit % 64) }
}

/// A row of bits in words of 64. The first word is stored in place.
struct BitRow {
    private var head: UInt64 = 0
    private var rest: [UInt64] = []

    init(width: Int) {
        if width > 1 { rest = Array(repeating: 0, count: width - 1) }
    }

    var width: Int { rest.count + 1 }

    var isEmpty: Bool { head == 0 && rest.allSatisfy { $0 == 0 } }

    subscript(word: Int) -> UInt64 {
        get { word == 0 ? head : rest[word - 1] }
        set { if word == 0 { head = newValue } else { rest[word - 1] = newValue } }
    }

    func contains(_ bit: Int) -> Bool { self[bit / 64] & (1 << UInt64(bit % 64)) != 0 }

    mutating func insert(_ bit: Int) { self[bit / 64] |= 1 << UInt64(bit % 64) }
}

/// A URI template in the form that topics are matched with: the literal text at its two ends, which is compared, and an
/// automaton for what is between. Copies of a selector share it.
final class TemplateMatcher: Sendable {
    /// The text that tells the template from others, the best first: the literal text at the start, that at the end, then the
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
