// SPDX-License-Identifier: Apache-2.0

import Martlet

/// The epochs of a file, each from an offset on. A new one begins where it is not certain that nothing was lost, so that an
/// event that was lost is never taken for the one that came in its place. Older ones stay known.
struct Segments {
    private struct Segment {
        var epoch: Epoch
        /// The offset of its first event, or of the event that would have been it.
        var first: UInt64
    }

    /// The most epochs that are known. Positions of one that is not are taken for those of another log.
    static let most = 1024

    private var segments: [Segment] = []

    var isEmpty: Bool { segments.isEmpty }
    var count: Int { segments.count }

    /// - Parameter first: Not less than that of the last one.
    mutating func append(_ epoch: Epoch, from first: UInt64) {
        segments.append(Segment(epoch: epoch, first: first))
        if segments.count > Self.most { segments.removeFirst() }
    }

    /// The position behind the event at an offset, or before all events.
    func position(_ offset: UInt64) -> Position {
        let segment = segments.last { $0.first <= offset } ?? segments[0]
        return segment.epoch.position(offset)
    }

    enum Place: Equatable {
        case at(UInt64)
        /// Behind the last event of its epoch: what was there is lost.
        case lost
    }

    /// What an id stands for as a position; `nil` if it is of none of the epochs.
    ///
    /// - Parameter last: The offset of the last event.
    func find(_ id: String, last: UInt64) -> Place? {
        guard let (epoch, offset) = Epoch.parts(of: id),
            let index = segments.lastIndex(where: { $0.epoch == epoch })
        else { return nil }
        let end = index + 1 < segments.count ? segments[index + 1].first - 1 : last
        return offset <= end ? .at(offset) : .lost
    }
}
