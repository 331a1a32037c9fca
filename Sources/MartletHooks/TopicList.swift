// SPDX-License-Identifier: Apache-2.0

import Martlet

/// Encodes the occupied topics of a node for the other nodes.
///
/// The first byte is the version of the format. Each topic follows: one byte, 0 for a topic and 1 for a pattern, four bytes
/// with the length of its text in bytes of UTF-8, the highest first, and the text.
enum TopicList {
    /// Bytes that are no list of this format.
    struct Unreadable: Error {}

    private static let format: UInt8 = 1

    /// - Parameter bytes: The largest list.
    /// - Returns: The list, and how many topics it omits for lack of room.
    static func encode(_ topics: Set<TopicSelector>, atMost bytes: Int) -> (list: [UInt8], omitted: Int) {
        var list = [format]
        var omitted = 0
        for selector in topics {
            let text = selector.text.utf8
            guard list.count + 5 + text.count <= bytes, let length = UInt32(exactly: text.count) else {
                omitted += 1
                continue
            }
            list.append(selector.exactTopic == nil ? 1 : 0)
            for shift in [24, 16, 8, 0] { list.append(UInt8(truncatingIfNeeded: length >> UInt32(shift))) }
            list.append(contentsOf: text)
        }
        return (list, omitted)
    }

    static func decode(_ list: [UInt8]) throws(Unreadable) -> Set<TopicSelector> {
        guard list.first == format else { throw Unreadable() }
        var rest = list.dropFirst()
        var topics: Set<TopicSelector> = []
        while let kind = rest.popFirst() {
            guard rest.count >= 4 else { throw Unreadable() }
            let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            guard length <= rest.count, let text = String(validating: rest.prefix(length), as: UTF8.self) else {
                throw Unreadable()
            }
            rest = rest.dropFirst(length)
            switch kind {
            case 0:
                guard let topic = try? Topic(text) else { throw Unreadable() }
                topics.insert(TopicSelector(topic))
            case 1: topics.insert(TopicSelector(text))
            default: throw Unreadable()
            }
        }
        return topics
    }
}
