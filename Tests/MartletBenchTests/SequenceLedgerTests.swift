// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletBench

@Suite("Ledger of sequence numbers")
struct SequenceLedgerTests {
    private func record(_ sequence: [UInt64]) -> (ledger: SequenceLedger, arrivals: [SequenceLedger.Arrival]) {
        var ledger = SequenceLedger()
        let arrivals = sequence.map { ledger.record($0) }
        return (ledger, arrivals)
    }

    @Test("Events in order are all there")
    func inOrder() {
        let (ledger, arrivals) = record([0, 1, 2])
        #expect(arrivals == [.next, .next, .next])
        #expect(ledger.missing(of: 3, except: []) == 0)
    }

    @Test("Events at the start, in the middle and at the end are missing")
    func missing() {
        let (ledger, arrivals) = record([2, 3, 5])
        #expect(arrivals == [.next, .next, .next])
        #expect(ledger.missing(of: 10, except: []) == 2 + 1 + 4)
        #expect(ledger.missing(of: nil, except: []) == 2 + 1)
        #expect(ledger.missing(of: 5, except: []) == 2 + 1)
    }

    @Test("Events that were not accepted are not missing, nor do they count when received")
    func excluded() {
        let (ledger, _) = record([2, 3, 5])
        #expect(ledger.missing(of: 10, except: [1, 3, 4, 9]) == 1 + 0 + 3)
        #expect(ledger.missing(of: nil, except: [0, 1, 4]) == 0)
    }

    @Test("A late event is out of order once, and a duplicate after that")
    func late() {
        let (ledger, arrivals) = record([0, 5, 3, 3, 2, 5, 0, 4, 1, 1, 6])
        #expect(
            arrivals == [
                .next, .next, .outOfOrder, .duplicate, .outOfOrder, .duplicate, .duplicate, .outOfOrder, .outOfOrder,
                .duplicate, .next,
            ]
        )
        #expect(ledger.missing(of: 7, except: []) == 0)
    }

    @Test("Any order of arrival gives the counts of a set")
    func randomOrder() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<100 {
            let sequence = (0..<60).map { _ in UInt64.random(in: 0..<50, using: &generator) }
            let (ledger, arrivals) = record(sequence)
            let distinct = Set(sequence)
            #expect(arrivals.count { $0 == .duplicate } == sequence.count - distinct.count, "\(sequence)")
            #expect(ledger.missing(of: 50, except: []) == 50 - distinct.count, "\(sequence)")
        }
    }

    @Test("The oldest gap is written off when there are too many")
    func bounded() {
        var ledger = SequenceLedger()
        let count = UInt64(SequenceLedger.mostGaps)
        for index in 0..<count + 1 { _ = ledger.record(2 * index + 1) }
        #expect(ledger.missing(of: nil, except: []) == Int(count) + 1)
        #expect(ledger.record(0) == .duplicate)
        #expect(ledger.record(2) == .outOfOrder)
        #expect(ledger.missing(of: nil, except: []) == Int(count))
    }
}
