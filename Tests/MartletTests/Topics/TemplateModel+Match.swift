// SPDX-License-Identifier: Apache-2.0

extension TemplateModel {
    /// Whether the topic can be what the template stands for: by walking all ways through it, from set of places to set
    /// of places.
    func matches(_ topic: String) -> Bool {
        let topic = Array(topic.utf8)
        var places: Set = [0]
        for part in parts {
            places = places.reduce(into: []) { ends, place in
                switch part {
                case .literal(let text):
                    if topic[place...].starts(with: text.utf8) { ends.insert(place + text.utf8.count) }
                case .expression(let expression):
                    ends.formUnion(expression.ends(in: topic, from: place))
                }
            }
        }
        return places.contains(topic.count)
    }
}

extension TemplateModel.Expression {
    /// What is in a value as it is: in an ordinary one, in a named or exploded one, and where reserved bytes may be.
    private static let bytes = [unreserved + ",", unreserved + ",=", unreserved + reserved].map { Set($0.utf8) }
    private static let digits = Set("0123456789abcdefABCDEF".utf8)

    fileprivate func ends(in topic: [UInt8], from place: Int) -> Set<Int> {
        guard topic[place...].starts(with: first.utf8) else { return [place] }
        var last = valueEnds(in: topic, from: place + first.utf8.count)
        var all = last.union([place])
        for _ in 0..<(explodes ? topic.count : variables.count - 1) where !last.isEmpty {
            last = last.reduce(into: []) { ends, end in
                guard topic[end...].first == separator.asciiValue else { return }
                ends.formUnion(valueEnds(in: topic, from: end + 1))
            }
            // Where any number of values may follow, a place does not have to be gone on from twice.
            if explodes { last.subtract(all) }
            all.formUnion(last)
        }
        return all
    }

    private func valueEnds(in topic: [UInt8], from place: Int) -> Set<Int> {
        let allowed = Self.bytes[allowsReserved ? 2 : isNamed || explodes ? 1 : 0]
        var ends: Set = [place]
        var end = place
        while end < topic.count {
            if allowed.contains(topic[end]) {
                end += 1
            } else if topic[end] == UInt8(ascii: "%"), end + 2 < topic.count,
                topic[end + 1...end + 2].allSatisfy(Self.digits.contains)
            {
                end += 3
            } else {
                break
            }
            ends.insert(end)
        }
        return ends
    }
}
