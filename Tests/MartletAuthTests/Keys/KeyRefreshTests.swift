// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import Testing

@testable import MartletAuth

@Suite struct KeySetRefreshTests {
    private var refresh = KeySetRefresh<ManualClock.Instant>(limits: KeySetLimits())

    private func at(_ seconds: Int) -> ManualClock.Instant { .init(offset: .seconds(seconds)) }

    @Test("The first token fetches, and others wait for it")
    mutating func firstTokenFetchesAndOthers() {
        #expect(refresh.action(isKnown: false, at: at(0)) == .refresh)
        #expect(refresh.action(isKnown: false, at: at(1)) == .wait)
        refresh.succeeded(at: at(1))
        #expect(refresh.action(isKnown: true, at: at(1)) == .use)
    }

    @Test("Old keys are used while newer ones are fetched")
    mutating func oldKeysAreUsed() {
        _ = refresh.action(isKnown: false, at: at(0))
        refresh.succeeded(at: at(0))
        #expect(refresh.action(isKnown: true, at: at(299)) == .use)
        #expect(refresh.action(isKnown: true, at: at(300)) == .useAndRefresh)
        #expect(refresh.action(isKnown: true, at: at(300)) == .use)
        refresh.succeeded(at: at(301))
        #expect(refresh.action(isKnown: true, at: at(600)) == .use)
        #expect(refresh.action(isKnown: true, at: at(601)) == .useAndRefresh)
    }

    @Test("Keys that are not known fetch once in an interval")
    mutating func keysThatAreNotKnown() {
        _ = refresh.action(isKnown: false, at: at(0))
        refresh.succeeded(at: at(0))
        #expect(refresh.action(isKnown: false, at: at(9)) == .use)
        #expect(refresh.action(isKnown: false, at: at(10)) == .refresh)
        #expect(refresh.action(isKnown: false, at: at(10)) == .wait)
        #expect(refresh.action(isKnown: true, at: at(10)) == .use)
        refresh.succeeded(at: at(11))
        for second in 11..<21 { #expect(refresh.action(isKnown: false, at: at(second)) == .use) }
        #expect(refresh.action(isKnown: false, at: at(21)) == .refresh)
    }

    @Test("A token that waited for a fetch does not cause another")
    mutating func whoHasWaited() {
        _ = refresh.action(isKnown: false, at: at(0))
        refresh.succeeded(at: at(0))
        #expect(refresh.action(isKnown: false, hasWaited: true, at: at(10)) == .use)
        #expect(refresh.action(isKnown: false, at: at(10)) == .refresh)
        #expect(refresh.action(isKnown: false, hasWaited: true, at: at(10)) == .use)
        refresh.failed(at: at(10))
        #expect(refresh.action(isKnown: false, hasWaited: true, at: at(10)) == .refuse(retryAfter: .seconds(1)))
    }

    @Test("Failures back off up to a bound")
    mutating func failuresBackOffUp() {
        var now = 0
        for wait in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            #expect(refresh.action(isKnown: false, at: at(now)) == .refresh)
            refresh.failed(at: at(now))
            #expect(refresh.action(isKnown: false, at: at(now)) == .refuse(retryAfter: .seconds(wait)))
            #expect(refresh.action(isKnown: false, at: at(now + wait - 1)) == .refuse(retryAfter: .seconds(1)))
            now += wait
        }
        for _ in 0..<100 {
            #expect(refresh.action(isKnown: false, at: at(now)) == .refresh)
            refresh.failed(at: at(now))
            now += 60
        }
    }

    @Test("A success ends the backing off")
    mutating func successEndsTheBackingOff() {
        for second in [0, 1, 3] {
            #expect(refresh.action(isKnown: false, at: at(second)) == .refresh)
            refresh.failed(at: at(second))
        }
        #expect(refresh.action(isKnown: false, at: at(7)) == .refresh)
        refresh.succeeded(at: at(7))
        #expect(refresh.action(isKnown: false, at: at(17)) == .refresh)
        refresh.failed(at: at(17))
        #expect(refresh.action(isKnown: true, at: at(17)) == .use)
        #expect(refresh.action(isKnown: false, at: at(17)) == .refuse(retryAfter: .seconds(1)))
    }

    @Test("While the source is away the keys are used until they are too old")
    mutating func whileTheSourceIsAway() {
        _ = refresh.action(isKnown: false, at: at(0))
        refresh.succeeded(at: at(0))
        #expect(refresh.action(isKnown: true, at: at(86_000)) == .useAndRefresh)
        refresh.failed(at: at(86_000))
        #expect(refresh.action(isKnown: true, at: at(86_000)) == .use)
        #expect(refresh.action(isKnown: true, at: at(86_399)) == .useAndRefresh)
        refresh.failed(at: at(86_399))
        #expect(refresh.action(isKnown: true, at: at(86_400)) == .refuse(retryAfter: .seconds(1)))
        #expect(refresh.action(isKnown: true, at: at(86_401)) == .refresh)
        #expect(refresh.action(isKnown: true, at: at(86_401)) == .wait)
    }
}
