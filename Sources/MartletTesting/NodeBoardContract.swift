// SPDX-License-Identifier: Apache-2.0

import Martlet

/// What every ``NodeBoard`` promises, as checks to run against one that two nodes or more share.
///
///     @Test(.timeLimit(.minutes(1)), arguments: NodeBoardContract.checks)
///     func myBoardKeepsTheContract(check: NodeBoardContract.Check) async throws {
///         try await check.run { SharedBoard(nodes: [MyBoard(), MyBoard()]) { try await Task.sleep(for: $0) } }
///     }
///
/// Each check asks for an empty board, which takes no more than ``maximumBytes``. What expires does so within
/// ``expiry``, and is waited for by looking again, a bounded number of times; what must stay was posted for an hour.
public enum NodeBoardContract {
    public typealias Check = LogContract.Check<SharedBoard>

    /// How large a posting the board has to take, and the next larger one it has to refuse.
    public static let maximumBytes = 100_000
    /// How soon postings expire that are to. A board that is slower than that breaks the contract.
    public static let expiry = Duration.seconds(1)

    private static let long = Duration.seconds(3600)

    /// What is posted, replaced, removed, expires and is renewed.
    public static let checks: [Check] = [
        Check("An empty board has nothing, and nothing is removed or renewed") { board in
            let (a, b) = try pair(board)
            let node = NodeName()
            try await a.remove(node)
            try require(try await !a.renew(node, for: long), "a posting was renewed that was never made")
            try require(try await b.versions().isEmpty, "a board is not empty from the beginning")
            try require(try await b.posting(of: node) == nil, "there is a posting that was never made")
        },
        Check("What a node has posted every node sees, byte for byte and with its version") { board in
            let (a, b) = try pair(board)
            let everyByte = (0...1023).map { UInt8(truncatingIfNeeded: $0) }
            for bytes in [[], [0], Array("\r\n\0".utf8), everyByte] {
                for version in [0, 1, UInt64(Int64.max)] {
                    let (node, posting) = (NodeName(), NodePosting(version: version, bytes: bytes))
                    try await a.post(posting, as: node, for: long)
                    for reader in [a, b] {
                        try await see([node: posting], on: reader, exactly: false)
                    }
                }
            }
        },
        Check("A posting takes the place of the node's last one, and of no other's") { board in
            let (a, b) = try pair(board)
            let other = (NodeName(), NodePosting(version: 7, bytes: [7]))
            try await b.post(other.1, as: other.0, for: long)
            let node = NodeName()
            for version in [1, 2, 9, 3] as [UInt64] {
                let posting = NodePosting(version: version, bytes: Array(repeating: 1, count: 10 - Int(version)))
                try await a.post(posting, as: node, for: long)
                for reader in [a, b] { try await see([node: posting, other.0: other.1], on: reader) }
            }
        },
        Check("What is removed is gone for every node, and may come again") { board in
            let (a, b) = try pair(board)
            let (node, other) = (NodeName(), NodeName())
            let posting = NodePosting(version: 1, bytes: [1])
            for node in [node, other] { try await a.post(posting, as: node, for: long) }
            try await a.remove(node)
            for reader in [a, b] { try await see([other: posting], on: reader) }
            try require(try await !a.renew(node, for: long), "a posting was renewed that was removed")
            try await see([other: posting], on: b)
            try await a.post(posting, as: node, for: long)
            try await see([node: posting, other: posting], on: b)
        },
        Check("A posting that is not renewed expires, and no other") { board in
            let (a, b) = try pair(board)
            let (node, other) = (NodeName(), NodeName())
            let posting = NodePosting(version: 1, bytes: [1])
            try await a.post(posting, as: node, for: expiry)
            try await b.post(posting, as: other, for: long)
            try await untilGone(node, from: b, board)
            for reader in [a, b] { try await see([other: posting], on: reader) }
            try require(try await !a.renew(node, for: long), "a posting was renewed that has expired")
            try await a.post(NodePosting(version: 2, bytes: [2]), as: node, for: long)
            try await see([node: NodePosting(version: 2, bytes: [2]), other: posting], on: b)
        },
        Check("Renewing changes when a posting expires, and nothing else; so does posting again") { board in
            let (a, b) = try pair(board)
            let (renewed, again, shortened, marker) = (NodeName(), NodeName(), NodeName(), NodeName())
            let posting = NodePosting(version: 1, bytes: [1, 2, 3])
            for node in [renewed, again] { try await a.post(posting, as: node, for: expiry) }
            try await a.post(posting, as: shortened, for: long)
            try require(try await a.renew(renewed, for: long), "a posting that is there was not renewed")
            try await a.post(NodePosting(version: 2, bytes: [4]), as: again, for: long)
            try require(try await a.renew(shortened, for: expiry), "a posting that is there was not renewed")
            try await a.post(posting, as: marker, for: expiry)
            for node in [marker, shortened] { try await untilGone(node, from: b, board) }
            try await see([renewed: posting, again: NodePosting(version: 2, bytes: [4])], on: b)
        },
        Check("A posting of the greatest size is taken, and a larger one refused, which changes nothing") { board in
            let (a, b) = try pair(board)
            try require(a.maximumBytes == maximumBytes, "the board takes \(a.maximumBytes) bytes")
            let node = NodeName()
            let posting = NodePosting(version: 1, bytes: Array(repeating: 0xFF, count: maximumBytes))
            try await a.post(posting, as: node, for: long)
            do {
                try await a.post(NodePosting(version: 2, bytes: posting.bytes + [0]), as: node, for: long)
                throw ContractViolation("a posting of one byte too many was taken")
            } catch let error as MartletError where error.code == .tooLarge {
                try await see([node: posting], on: b)
            }
        },
        Check("What many nodes post at once is seen as it was posted, and the last of each stays") { board in
            try await postAtOnce(on: board.nodes, rounds: 50)
        },
    ]

    private static func pair(_ board: SharedBoard) throws -> (any NodeBoard, any NodeBoard) {
        try require(board.nodes.count > 1, "there is only \(board.nodes.count) node")
        return (board.nodes[0], board.nodes[1])
    }

    /// - Parameter exactly: Whether there is nothing else.
    private static func see(
        _ postings: [NodeName: NodePosting], on board: any NodeBoard, exactly: Bool = true
    ) async throws {
        let versions = try await board.versions()
        for (node, posting) in postings {
            let version = versions[node].map { "\($0)" } ?? "none"
            try require(versions[node] == posting.version, "a node sees version \(version) of \(posting.version)")
            try require(try await board.posting(of: node) == posting, "a node sees something else than was posted")
        }
        try require(!exactly || versions.count == postings.count, "a node sees \(versions.count) postings")
    }

    private static func untilGone(_ node: NodeName, from reader: any NodeBoard, _ board: SharedBoard) async throws {
        for _ in 0..<100 {
            try await board.pass(expiry / 10)
            guard try await reader.versions()[node] == nil else { continue }
            return try require(try await reader.posting(of: node) == nil, "a posting is there without its version")
        }
        throw ContractViolation("a posting does not expire")
    }

    /// Posts from a task for each of several names, and reads on all nodes meanwhile.
    private static func postAtOnce(on boards: [any NodeBoard], rounds: Int) async throws {
        let names = (0..<4 * boards.count).map { _ in NodeName() }
        @Sendable func posting(_ number: Int, _ version: Int) -> NodePosting {
            NodePosting(version: UInt64(version), bytes: Array(repeating: UInt8(version), count: 100 * (number + 1)))
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, name) in names.enumerated() {
                group.addTask {
                    let board = boards[number % boards.count]
                    for version in 1...rounds { try await board.post(posting(number, version), as: name, for: long) }
                }
            }
            for board in boards {
                group.addTask {
                    var seen: [NodeName: UInt64] = [:]
                    for _ in 0..<rounds {
                        let versions = try await board.versions()
                        for (number, name) in names.enumerated() {
                            guard let version = versions[name] else {
                                try require(seen[name] == nil, "a posting was gone while another took its place")
                                continue
                            }
                            try require(version >= seen[name] ?? 0, "a posting was followed by an older one")
                            let read = try await board.posting(of: name)
                            let current = read?.version ?? 0
                            try require(current >= version, "a posting is older than its version")
                            try require(read == posting(number, Int(current)), "a posting was seen in parts")
                            seen[name] = current
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        let last = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, posting($0, rounds)) })
        for board in boards { try await see(last, on: board) }
    }
}
