// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Martlet

@Suite struct RevocationsTests {
    private let start = ContinuousClock.now

    @Test("Rights that were judged before are revoked, and those of others are not")
    func revoked() {
        var revocations = Revocations(memory: .seconds(60))
        revocations.insert("\u{E9}", now: start + .seconds(1))
        #expect(revocations.contains("\u{E9}", judged: start + .seconds(1)))
        #expect(!revocations.contains("\u{E9}", judged: start + .seconds(2)))
        #expect(!revocations.contains("e\u{301}", judged: start))
    }

    @Test("Above the bound no revoked right becomes valid again, and old revocations are forgotten")
    func bound() {
        for memory in [Duration.seconds(60), .seconds(3600 * 24)] {
            var revocations = Revocations(memory: memory)
            for number in 0..<Revocations.most { revocations.insert("p\(number)", now: start + .seconds(number)) }
            let end = start + .seconds(Revocations.most)
            revocations.insert("last", now: end)
            #expect(revocations.contains("last", judged: end))
            #expect(revocations.contains("p\(Revocations.most - 1)", judged: end - .seconds(1)))
            #expect(!revocations.contains("another", judged: end))
            let isForgotten = memory < .seconds(Revocations.most)
            #expect(revocations.contains("p0", judged: start) == !isForgotten)
        }
    }
}
