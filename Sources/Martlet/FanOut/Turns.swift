// SPDX-License-Identifier: Apache-2.0

/// On every shard live delivery and those who catch up take turns: first every feed that has grown, one slice each, then
/// those who catch up, one slice each, until their time is over.
enum Turns {
    /// How long those who catch up may write where live delivery had nothing to do.
    static let moment = Duration.milliseconds(1)

    /// When those who catch up have written for as long as live delivery has, so that however many they are, it gets half
    /// of the time of a busy shard, and waits for no more than a moment on one that is not.
    ///
    /// - Parameters:
    ///   - start: When live delivery began.
    ///   - now: When it ended.
    static func end(liveSince start: ContinuousClock.Instant, now: ContinuousClock.Instant) -> ContinuousClock.Instant {
        now + max(moment, now - start)
    }
}
