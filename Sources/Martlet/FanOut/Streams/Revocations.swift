// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Which principals were revoked, and when, for as long as rights that were judged before may still be used. A value.
/// Principals are told apart byte for byte.
package struct Revocations: Sendable {
    /// The most revocations that are remembered. When there are more, the older half is forgotten. From then on every right
    /// that is older than a forgotten revocation counts as revoked, so a revoked right never becomes valid again.
    package static let most = 10_000

    private let memory: Duration
    private var times: [ExactText: ContinuousClock.Instant] = [:]
    /// The time of the newest revocation that was forgotten too early.
    private var forgotten: ContinuousClock.Instant?

    /// - Parameter memory: The longest time from judging a right to using it.
    package init(memory: Duration) { self.memory = memory }

    package mutating func insert(_ principal: String, now: ContinuousClock.Instant) {
        if times.count >= Self.most {
            times = times.filter { now - $0.value < memory }
            if times.count >= Self.most {
                let middle = times.values.sorted()[times.count / 2]
                times = times.filter { $0.value > middle }
                forgotten = middle
            }
        }
        times[ExactText(principal)] = now
    }

    /// Whether a right was judged before its principal was revoked.
    package func contains(_ principal: String, judged: ContinuousClock.Instant) -> Bool {
        if let forgotten, judged <= forgotten { return true }
        return times[ExactText(principal)].map { judged <= $0 } ?? false
    }
}
