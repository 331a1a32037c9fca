// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import Testing

@testable import MartletClient

@Suite struct BackoffTests {
    private var random = SeededGenerator(seed: 42)

    @Test mutating func `each failure doubles the longest wait, up to the maximum`() {
        for (failures, most) in [(0, 2), (1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (100, 30)] {
            var waits: [Duration] = []
            for _ in 0..<200 {
                var backoff = Backoff(retry: .seconds(1), maximum: .seconds(30))
                for _ in 0..<failures { _ = backoff.next(least: .zero, using: &random) }
                let wait = backoff.next(least: .zero, using: &random)
                #expect(wait >= .seconds(1) && wait <= .seconds(most))
                waits.append(wait)
            }
            // They are spread over all of it.
            let spread = Duration.seconds(most - 1)
            #expect(waits.contains { $0 > .seconds(1) + spread * 0.8 })
            #expect(waits.contains { $0 < .seconds(1) + spread * 0.2 })
        }
    }

    @Test mutating func `a connection that brought something starts it over`() {
        var backoff = Backoff(retry: .seconds(1), maximum: .seconds(30))
        for _ in 0..<10 { _ = backoff.next(least: .zero, using: &random) }
        backoff.succeeded()
        #expect(backoff.next(least: .zero, using: &random) <= .seconds(2))
    }

    @Test mutating func `a server that asks for no wait gets none until it fails`() {
        var backoff = Backoff(retry: .seconds(1), maximum: .seconds(30))
        backoff.retry = .zero
        #expect(backoff.next(least: .zero, using: &random) == .zero)
        let waits = (0..<10).map { _ in backoff.next(least: .zero, using: &random) }
        #expect(waits.allSatisfy { $0 <= .seconds(30) })
        #expect(waits.contains { $0 > .seconds(1) })
    }

    @Test mutating func `nobody is asked in a loop who always fails, whatever the configuration`() {
        var backoff = Backoff(retry: .zero, maximum: .seconds(30))
        let waits = (0..<20).map { _ in backoff.next(least: .zero, using: &random) }
        #expect(waits[0] == .zero)
        #expect(waits[10...].contains { $0 > .seconds(3) })
        #expect(waits.allSatisfy { $0 <= .seconds(30) })
    }

    @Test mutating func `a wait that is asked for once may be over the maximum`() {
        var backoff = Backoff(retry: .seconds(1), maximum: .seconds(30))
        for _ in 0..<10 { #expect(backoff.next(least: .seconds(60), using: &random) == .seconds(60)) }
        #expect(backoff.next(least: .zero, using: &random) <= .seconds(30))
    }

    @Test mutating func `the largest number that a server can send is no trouble`() {
        var backoff = Backoff(retry: .seconds(1), maximum: .seconds(30))
        backoff.retry = .milliseconds(Int.max)
        for _ in 0..<100 { #expect(backoff.next(least: .zero, using: &random) == .milliseconds(Int.max)) }
    }
}
