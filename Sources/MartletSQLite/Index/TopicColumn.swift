// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Martlet
import MartletSupport

/// A tag of four bytes for each event of history, made from its topic, so that the events of a topic are found without
/// reading the others. A look-up scans the tags, a thousand in a microsecond.
///
/// It also says which events are in history. Where rules have removed events from the middle, an event takes 12 bytes.
struct TopicColumn {
    /// Represents a topic. Two topics may have the same tag.
    typealias Tag = UInt32

    /// The tag of an event with several topics, which always has to be examined.
    private static let several: Tag = 0
    /// The tag of an event that a rule has removed.
    private static let removed: Tag = 1
    private static let blockSize = 4096

    /// Some events, one after the other.
    private struct Block {
        /// The offset of the first tag.
        var first: UInt64
        var tags: [Tag] = []
        /// The offset of each tag; `nil` if none is left out.
        var offsets: [UInt64]?

        /// The offset behind the last tag.
        var end: UInt64 { offsets.map { ($0.last ?? first) + 1 } ?? first + UInt64(tags.count) }

        func offset(_ index: Int) -> UInt64 { offsets?[index] ?? first + UInt64(index) }

        /// The index of the tag with this offset or the next greater one.
        func index(of offset: UInt64) -> Int {
            if let offsets { return offsets.partitioningIndex { $0 >= offset } }
            return offset <= first ? 0 : min(tags.count, Int(offset - first))
        }

        mutating func append(_ tag: Tag, at offset: UInt64) {
            if offsets == nil, offset != end { offsets = tags.indices.map { first + UInt64($0) } }
            offsets?.append(offset)
            tags.append(tag)
        }
    }

    private var blocks: Deque<Block> = []
    /// How many tags there are, with those that were removed.
    private var tagCount = 0
    /// How many of the tags were removed from the middle.
    private var holes = 0

    static func tag(of topic: Topic) -> Tag {
        let hash = UInt64(bitPattern: Int64(topic.hashValue))
        return max(2, Tag(truncatingIfNeeded: hash ^ hash >> 32))
    }

    /// - Parameter offset: Greater than all before.
    mutating func append(_ event: Event, at offset: UInt64) {
        append(event.alternates.isEmpty ? Self.tag(of: event.topic) : Self.several, at: offset)
    }

    private mutating func append(_ tag: Tag, at offset: UInt64) {
        if blocks.last.map({ $0.tags.count == Self.blockSize }) ?? true {
            blocks.append(Block(first: offset))
            if blocks.count > 1 { blocks[blocks.count - 1].tags.reserveCapacity(Self.blockSize) }
        }
        blocks[blocks.count - 1].append(tag, at: offset)
        tagCount += 1
    }

    /// Removes tags of events up to an offset; some of them may stay.
    mutating func removeFirst(through offset: UInt64) {
        while let block = blocks.first, block.tags.count == Self.blockSize, block.end <= offset + 1 {
            tagCount -= block.tags.count
            holes -= block.tags.count { $0 == Self.removed }
            blocks.removeFirst()
        }
    }

    /// Removes the tag of an event from the middle.
    mutating func remove(_ offset: UInt64) {
        let number = block(of: offset)
        guard number < blocks.count else { return }
        let index = blocks[number].index(of: offset)
        guard index < blocks[number].tags.count, blocks[number].offset(index) == offset,
            blocks[number].tags[index] != Self.removed
        else { return }
        blocks[number].tags[index] = Self.removed
        holes += 1
        if holes > Self.blockSize, holes > tagCount / 2 { compact() }
    }

    private mutating func compact() {
        let all = blocks
        (blocks, tagCount, holes) = ([], 0, 0)
        for block in all {
            for (index, tag) in block.tags.enumerated() where tag != Self.removed {
                append(tag, at: block.offset(index))
            }
        }
    }

    /// The number of the block with the tag of this offset or of the next greater one.
    private func block(of offset: UInt64) -> Int { blocks.partitioningIndex { $0.end > offset } }

    /// The first event in history from an offset on.
    func first(from offset: UInt64) -> UInt64? {
        var number = block(of: offset)
        while number < blocks.count {
            let block = blocks[number]
            for index in block.index(of: offset)..<block.tags.count where block.tags[index] != Self.removed {
                return block.offset(index)
            }
            number += 1
        }
        return nil
    }

    /// The last event in history up to an offset.
    func last(upTo offset: UInt64) -> UInt64? {
        var number = min(block(of: offset), blocks.count - 1)
        while number >= 0 {
            let block = blocks[number]
            for index in (0..<min(block.tags.count, block.index(of: offset + 1))).reversed()
            where block.tags[index] != Self.removed {
                return block.offset(index)
            }
            number -= 1
        }
        return nil
    }

    func contains(_ offset: UInt64) -> Bool { first(from: offset) == offset }

    /// The offset of an event in history, counted from 1 on from an offset on; `nil` if there are fewer.
    func offset(ofNumber count: Int, from offset: UInt64) -> UInt64? {
        var left = count
        var number = block(of: offset)
        while number < blocks.count {
            let block = blocks[number]
            for index in block.index(of: offset)..<block.tags.count where block.tags[index] != Self.removed {
                left -= 1
                if left == 0 { return block.offset(index) }
            }
            number += 1
        }
        return nil
    }

    /// Finds events that may have one of the topics.
    ///
    /// - Parameters:
    ///   - offsets: Events that were appended and not removed from the front.
    ///   - count: The most events to find.
    func find(_ tags: Set<Tag>, in offsets: ClosedRange<UInt64>, atMost count: Int) -> [UInt64] {
        var found: [UInt64] = []
        let only = tags.count == 1 ? tags.first : nil
        var number = block(of: offsets.lowerBound)
        while number < blocks.count, blocks[number].first <= offsets.upperBound {
            let block = blocks[number]
            let places = block.index(of: offsets.lowerBound)..<block.index(of: offsets.upperBound + 1)
            for (index, tag) in zip(places, block.tags[places]) {
                guard tag == Self.several || only.map({ tag == $0 }) ?? tags.contains(tag) else { continue }
                found.append(block.offset(index))
                if found.count == count { return found }
            }
            number += 1
        }
        return found
    }
}
