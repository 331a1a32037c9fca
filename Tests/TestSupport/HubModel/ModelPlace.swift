// SPDX-License-Identifier: Apache-2.0

/// Where a subscriber stands, as the model sees it.
struct ModelPlace: Sendable {
    /// How many events of each lane the subscriber has behind it, selected or not.
    var counts: [Int]
    /// Up to which of them it was told that something is missing.
    var told: [Int]
    /// Nothing is ever missing for it, whatever is removed before it begins to read.
    var isEarliest = false

    init(counts: [Int]) {
        self.counts = counts
        told = counts.map { _ in 0 }
    }

    /// There was a gap: everything that is removed by now may be missing.
    mutating func hear(of removed: [Int]) {
        for lane in told.indices { told[lane] = max(told[lane], removed[lane]) }
    }
}
