// SPDX-License-Identifier: Apache-2.0

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
/// of it a fixed number of times through the words of the states, whatever the two texts are.
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
