// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Martlet

/// A tag of four bytes for each event of history, made from its topic, so that the events of a topic are found without
/// reading the others. A look-up scans the tags, a thousand in a microsecond.
struct TopicColumn {
    /// Represents a topic. Two topics may have the same tag.
    typealias Tag = UInt32

    /// The tag of an event with several topics, which always has to be examined.
    private static let several: Tag = 0
    private static let blockSize = 4096

    /// All but the last are full.
    private var blocks: Deque<[Tag]> = []
    /// The offset of the first tag of the first block.
    private var start: UInt64

    /// - Parameter first: The offset of the first event that will be appended.
    init(from first: UInt64) { start = first }

    static func tag(of topic: Topic) -> Tag {
        let hash = UInt64(bitPattern: Int64(topic.hashValue))
        return max(1, Tag(truncatingIfNeeded: hash ^ hash >> 32))
    }

    mutating func append(_ event: Event) {
        if blocks.last?.count ?? Self.blockSize == Self.blockSize {
            blocks.append([])
            if blocks.count > 1 { blocks[blocks.count - 1].reserveCapacity(Self.blockSize) }
        }
        blocks[blocks.count - 1].append(event.alternates.isEmpty ? Self.tag(of: event.topic) : Self.several)
    }

    /// Removes tags of events up to an offset; some of them may stay.
    mutating func removeFirst(through offset: UInt64) {
        while blocks.first?.count == Self.blockSize, start + UInt64(Self.blockSize) <= offset + 1 {
            blocks.removeFirst()
            start += UInt64(Self.blockSize)
        }
    }

    /// Finds events that may have one of the topics.
    ///
    /// - Parameters:
    ///   - offsets: Events that were appended and not removed.
    ///   - count: The most events to find.
    func find(_ tags: Set<Tag>, in offsets: ClosedRange<UInt64>, atMost count: Int) -> [UInt64] {
        var found: [UInt64] = []
        var offset = offsets.lowerBound
        while offset <= offsets.upperBound {
            let (block, place) = Int(offset - start).quotientAndRemainder(dividingBy: Self.blockSize)
            let stop = min(Self.blockSize, place + Int(offsets.upperBound - offset) + 1)
            let only = tags.count == 1 ? tags.first : nil
            for (index, tag) in blocks[block][place..<stop].enumerated() {
                guard tag == Self.several || only.map({ tag == $0 }) ?? tags.contains(tag) else { continue }
                found.append(offset + UInt64(index))
                if found.count == count { return found }
            }
            offset += UInt64(stop - place)
        }
        return found
    }
}
