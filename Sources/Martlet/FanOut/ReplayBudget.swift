// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Counts the bytes of history that are in memory, on their way to subscribers that catch up.
///
/// Part of the capacity is for the slices that are being read and handed over, of which there are only so many. The rest
/// is for those that are kept for subscribers whose sockets are full. A subscriber that finds no room reads again later.
final class ReplayBudget: Sendable {
    /// The most that may be kept; below it there is room.
    private let most: Int
    private let held = Atomic(0)

    /// - Parameters:
    ///   - capacity: The most bytes in memory.
    ///   - reserve: How many of them are for slices that are on their way.
    init(capacity: Int, reserve: Int) { most = capacity - reserve }

    /// How many bytes are in memory.
    var byteCount: Int { held.load(ordering: .relaxed) }

    /// Whether a slice may be kept for a subscriber that cannot take it now. It counts already.
    ///
    /// Several threads may ask at the same time: whatever one of them keeps, the others have counted too.
    var hasRoom: Bool { byteCount <= most }

    func add(_ count: Int) { held.add(count, ordering: .relaxed) }

    func subtract(_ count: Int) { held.subtract(count, ordering: .relaxed) }
}
