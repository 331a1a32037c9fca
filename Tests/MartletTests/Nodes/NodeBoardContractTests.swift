// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import Testing

@Suite("The contract of boards", .timeLimit(.minutes(10)))
struct NodeBoardContractTests {
    @Test("The board in memory keeps the contract", arguments: NodeBoardContract.checks)
    func memoryBoard(check: NodeBoardContract.Check) async throws {
        try await check.run { Self.shared { $0 } }
    }

    @Test("A board that breaks the contract is found out", arguments: BrokenBoardFault.allCases)
    func brokenBoard(fault: BrokenBoardFault) async throws {
        let check = try #require(NodeBoardContract.checks.first { $0.name.hasPrefix(fault.check) })
        await #expect(throws: ContractViolation.self) {
            try await check.run { Self.shared { BrokenBoard(fault, on: $0) } }
        }
    }

    /// One board in memory, as two nodes see it.
    private static func shared(
        _ seen: (MemoryBoard<ManualClock>) -> any NodeBoard
    ) -> SharedBoard {
        let clock = ManualClock()
        let board = MemoryBoard(clock: clock, maximumBytes: NodeBoardContract.maximumBytes)
        return SharedBoard(nodes: [seen(board), seen(board)]) { clock.advance(by: $0) }
    }

    @Test("Names are different, and safe in keys")
    func names() {
        let names = Set((0..<1000).map { _ in NodeName() })
        #expect(names.count == 1000)
        #expect(names.allSatisfy { $0.text.utf8.count == 16 })
        #expect(names.allSatisfy { $0.text.allSatisfy { $0.isASCII && ($0.isNumber || $0.isLowercase) } })
    }
}
