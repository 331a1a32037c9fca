// SPDX-License-Identifier: Apache-2.0

package import Martlet

extension Selection {
    package static func of(_ topics: Topic..., includesPrivate: Bool = false) -> Selection {
        Selection(topics: Set(topics), includesPrivate: includesPrivate)
    }
}

extension Log {
    /// Appends one event for each text, one after the other.
    @discardableResult
    package func append(_ topic: Topic, _ texts: String...) async throws -> [Position] {
        var positions: [Position] = []
        for text in texts { positions += try await append([Event(topic: topic, data: text)]) }
        return positions
    }

    /// The texts of everything selected from a position to the end.
    package func texts(_ selection: Selection? = nil, after place: Position = .earliest) async throws -> [String] {
        let end = try await open()
        var texts: [String] = []
        var place = place
        while true {
            let slice = try await read(selection, after: place, through: end, limit: SliceLimit())
            texts += slice.records.map(\.event.data)
            if slice.isComplete { return texts }
            place = slice.end
        }
    }
}

/// The next events of a log.
package func read(_ count: Int, of log: any Log, after place: Position) async throws -> [Record] {
    var (records, place): ([Record], Position) = ([], place)
    while records.count < count {
        let slice = try await log.tail(after: place, limit: SliceLimit())
        if let gap = slice.gap { throw UnexpectedGap(gap: Gap(reason: slice.gapReason, from: gap)) }
        records += slice.records
        place = slice.end
    }
    return records
}

package struct UnexpectedGap: Error {
    package let gap: Gap
}
