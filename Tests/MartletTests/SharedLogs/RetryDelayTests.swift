// SPDX-License-Identifier: Apache-2.0

import Martlet
import TestSupport
import Testing

@Suite("The delay between attempts")
struct RetryDelayTests {
    @Test("The bound doubles up to a maximum, and the delay is a random part of it, at least half")
    func delays() {
        var random = SeededGenerator(seed: 1)
        var delay = RetryDelay(.milliseconds(100)...Duration.seconds(1))
        for bound in [100, 200, 400, 800, 1000, 1000] {
            let next = delay.next(using: &random)
            #expect((.milliseconds(bound) / 2 ... .milliseconds(bound)).contains(next))
        }
        delay.succeeded()
        #expect(delay.next(using: &random) <= .milliseconds(100))
    }
}
