// SPDX-License-Identifier: Apache-2.0

/// How often something may be done in a second. A value.
///
/// A second begins with the first spending after the one before.
package struct SecondBudget: Sendable {
    private let most: Int
    private var start: ContinuousClock.Instant?
    private var count = 0

    package init(most: Int) { self.most = most }

    /// Returns whether it may be done once more now, and counts it.
    package mutating func spend(now: ContinuousClock.Instant) -> Bool {
        if start.map({ now - $0 >= .seconds(1) }) ?? true { (start, count) = (now, 0) }
        guard count < most else { return false }
        count += 1
        return true
    }
}
