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

    /// The states that read a byte with this low half, and with this high half. Those in both read the byte.
    private var readsLow: BitRows
    private var readsHigh: BitRows
    /// The states that keep bytes of this kind.
    private var keeps: BitRows
    /// The states of expressions, and the states right after one.
    private var insides: BitRows
    private var exits: BitRows

    init(_ template: URITemplate) {
        stateCount = template.parts.reduce(1) { $0 + Self.stateCount(of: $1) }
        readsLow = BitRows(rows: 16, bits: stateCount)
        readsHigh = BitRows(rows: 16, bits: stateCount)
        keeps = BitRows(rows: TopicByteKind.allCases.count, bits: stateCount)
        insides = BitRows(bits: stateCount)
        exits = BitRows(bits: stateCount)
        var state = 0
        for part in template.parts {
            switch part {
            case .literal(let byte): read(byte, at: state)
            case .expression(let expression): add(expression, at: state)
            }
            state += Self.stateCount(of: part)
        }
    }

    func matches(_ topic: String) -> Bool {
        var active = BitRows(bits: stateCount)
        active.insert(0)
        leaveExpressions(&active)
        var bytes = topic.utf8.makeIterator()
        while !active.isEmpty, let byte = bytes.next() {
            if byte == UInt8(ascii: "%") {
                // A template has triplets only as a whole, in literals and in values.
                guard let high = bytes.next(), let low = bytes.next(), high.isHexDigit, low.isHexDigit else {
                    return false
                }
                let before = active
                for byte in [byte, high, low] { step(&active, over: byte, keeping: .other) }
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

    private mutating func read(_ byte: UInt8, at state: Int) {
        readsLow.insert(state, row: Int(byte & 0xF))
        readsHigh.insert(state, row: Int(byte >> 4))
    }

    private mutating func add(_ expression: TemplateExpression, at start: Int) {
        var state = start
        if let first = expression.op.first {
            read(first, at: state)
            insides.insert(state)
            state += 1
        }
        for value in 1...expression.values {
            for kind in TopicByteKind.allCases where expression.keeps(kind) { keeps.insert(state, row: kind.rawValue) }
            if value < expression.values { read(expression.op.separator, at: state) }
            insides.insert(state)
            state += 1
        }
        exits.insert(state)
    }

    private func step(_ active: inout BitRows, over byte: UInt8, keeping kind: TopicByteKind) {
        var carry: UInt64 = 0
        for word in 0..<active.width {
            let reads = readsLow[word, row: Int(byte & 0xF)] & readsHigh[word, row: Int(byte >> 4)]
            let reading = active[word] & reads
            active[word] = reading << 1 | carry | active[word] & keeps[word, row: kind.rawValue]
            carry = reading >> 63
        }
    }

    /// Adds the states of before a triplet that keep it: a triplet is in every value that a plain byte is in.
    private func keepTriplet(from before: BitRows, in active: inout BitRows) {
        for word in 0..<active.width { active[word] |= before[word] & keeps[word, row: TopicByteKind.plain.rawValue] }
    }

    /// Adds the states that an active one leads to without a byte.
    ///
    /// Where expressions follow each other, their states are a run of ones in `insides`, and the lowest active one
    /// leads to every exit above it, up to the first state behind the run. When the active ones are added to the run,
    /// it is just these bits that are carried into.
    private func leaveExpressions(_ active: inout BitRows) {
        var carry: UInt64 = 0
        for word in 0..<active.width {
            let run = insides[word]
            let leaving = active[word] & run
            let (partial, overflows) = run.addingReportingOverflow(leaving)
            let (sum, carryOverflows) = partial.addingReportingOverflow(carry)
            active[word] |= exits[word] & (sum ^ run ^ leaving)
            carry = overflows || carryOverflows ? 1 : 0
        }
    }
}

extension UInt8 {
    fileprivate var isHexDigit: Bool { Unicode.Scalar(self).properties.isASCIIHexDigit }
}
