// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import Testing

@testable import Martlet

@Suite struct PostingScheduleTests {
    private static func at(_ seconds: Double) -> ManualClock.Instant { ManualClock.Instant(offset: .seconds(seconds)) }

    private static func plan() -> PostingSchedule<ManualClock.Instant> {
        var configuration = ExchangeConfiguration()
        configuration.expiry = .seconds(9)
        configuration.bytesPerSecond = 100
        return PostingSchedule(configuration: configuration)
    }

    @Test("Changes are posted, and unchanged postings are renewed three times in an expiry")
    func whatHasChangedIsPosted() {
        var plan = Self.plan()
        #expect(plan.action(revision: 0, at: Self.at(0)) == .post)
        plan.posted(revision: 0, bytes: 0, at: Self.at(0))
        #expect(plan.action(revision: 0, at: Self.at(2.9)) == .nothing)
        #expect(plan.action(revision: 1, at: Self.at(2.9)) == .post)
        #expect(plan.action(revision: 0, at: Self.at(3)) == .renew)
        plan.renewed(at: Self.at(3))
        #expect(plan.action(revision: 0, at: Self.at(5.9)) == .nothing)
        #expect(plan.action(revision: 0, at: Self.at(6)) == .renew)
        plan.lost()
        #expect(plan.action(revision: 0, at: Self.at(6)) == .post)
    }

    @Test("A large posting is followed by another when its bytes are paid for, and renewed meanwhile")
    func largePostingIsFollowed() {
        var plan = Self.plan()
        plan.posted(revision: 0, bytes: 400, at: Self.at(0))
        #expect(plan.action(revision: 1, at: Self.at(2.9)) == .nothing)
        #expect(plan.action(revision: 1, at: Self.at(3)) == .renew)
        plan.renewed(at: Self.at(3))
        #expect(plan.action(revision: 1, at: Self.at(3.9)) == .nothing)
        #expect(plan.action(revision: 1, at: Self.at(4)) == .post)
        plan.posted(revision: 1, bytes: 400, at: Self.at(4))
        plan.lost()
        #expect(plan.action(revision: 1, at: Self.at(5)) == .post)
    }
}
