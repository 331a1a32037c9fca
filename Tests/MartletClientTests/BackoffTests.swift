// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import MartletClient

@Suite("Waits before a reconnect") struct BackoffTests {
    private var random = SeededGenerator(seed: 42)

    @Test("Each failure doubles the longest wait, up to the maximum")
    mutating func doubling() {
        for (failures, most) in [(1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (100, 30)] {
            var waits: [Duration] = []
            for _ in 0..<200 {
                var backoff = Backoff(retry: .seconds(1), maximum: .seconds(30))
                for _ in 0..<failures { _ = backoff.next(least: .zero, using: &random) }
                let wait = backoff.next(least: .zero, using: &random)
                #expect(wait >= .seconds(1) && wait <= .seconds(most))
                waits.append(wait)
            }
            // The waits are spread over the whole range.
            let spread = Duration.seconds(most - 1)
            #expect(waits.contains { $0 > .seconds(1) + spread * 0.8 })
            #expect(waits.contains { $0 < .seconds(1) + spread * 0.2 })
        }
    }

    @Test("The first wait, and one after a connection that brought an event, is what was asked for")
    mutating func success() {
        var backoff = Backoff(retry: .seconds(1), maximum: .seconds(30))
        #expect(backoff.next(least: .zero, using: &random) == .seconds(1))
        for _ in 0..<10 { _ = backoff.next(least: .zero, using: &random) }
        backoff.succeeded()
        #expect(backoff.next(least: .zero, using: &random) == .seconds(1))
        backoff.succeeded()
        backoff.retry = .seconds(3)
        #expect(backoff.next(least: .zero, using: &random) == .seconds(3))
    }

    @Test(
        "A server that asks for no wait is waited for a little, and longer when it fails",
        arguments: [0, 99, -1, Int.min])
    mutating func floor(milliseconds: Int) {
        var backoff = Backoff(retry: .milliseconds(milliseconds), maximum: .seconds(30))
        backoff.retry = .milliseconds(milliseconds)
        for _ in 0..<10 {
            #expect(backoff.next(least: .zero, using: &random) == Backoff.least)
            backoff.succeeded()
        }
        let waits = (0..<20).map { _ in backoff.next(least: .zero, using: &random) }
        #expect(waits.allSatisfy { (Backoff.least ... .seconds(30)).contains($0) })
        #expect(waits[10...].contains { $0 > .seconds(3) })
    }

    @Test("A wait that is asked for once may be over the maximum")
    mutating func once() {
        var backoff = Backoff(retry: .seconds(1), maximum: .seconds(30))
        for _ in 0..<10 { #expect(backoff.next(least: .seconds(60), using: &random) == .seconds(60)) }
        #expect(backoff.next(least: .zero, using: &random) <= .seconds(30))
    }

    @Test(
        "No number makes a wait longer than the longest",
        arguments: [Backoff.longest, .milliseconds(Int.max), .seconds(Int.max)])
    mutating func ceiling(wait: Duration) {
        var backoff = Backoff(retry: .seconds(1), maximum: .seconds(30))
        for _ in 0..<3 { #expect(backoff.next(least: wait, using: &random) == Backoff.longest) }
        backoff.retry = wait
        for _ in 0..<100 { #expect(backoff.next(least: .zero, using: &random) == Backoff.longest) }
        backoff = Backoff(retry: wait, maximum: wait)
        for _ in 0..<100 { #expect(backoff.next(least: .zero, using: &random) == Backoff.longest) }
        backoff = Backoff(retry: .seconds(1), maximum: wait)
        for _ in 0..<100 { #expect(backoff.next(least: .zero, using: &random) <= Backoff.longest) }
    }
}
