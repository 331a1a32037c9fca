// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// The contract of every ``/Martlet/NodeBoard``, as checks to run against a board that at least two nodes share.
///
///     @Test(.timeLimit(.minutes(1)), arguments: NodeBoardContract.checks)
///     func myBoardKeepsTheContract(check: NodeBoardContract.Check) async throws {
///         try await check.run { SharedBoard(nodes: [MyBoard(), MyBoard()]) { try await Task.sleep(for: $0) } }
///     }
///
/// Each check needs an empty board, which takes postings of at most ``maximumBytes``. Postings that must expire are posted
/// for ``expiry``; the check looks again, a bounded number of times. Postings that must stay are posted for an hour.
public enum NodeBoardContract {
    /// One promise of the contract.
    public typealias Check = LogContract.Check<SharedBoard>

    /// The size of the largest posting that the board must take. It must refuse a posting with one more byte.
    public static let maximumBytes = 100_000
    /// The expiry of postings that must expire. A board that keeps them for ten times as long breaks the contract.
    public static let expiry = Duration.seconds(1)

    private static let long = Duration.seconds(3600)
    /// How long a node may take to see what another has done.
    private static let patience = Duration.seconds(5)

    /// Posting, replacing, removing, expiring and renewing.
    public static let checks: [Check] = [
        Check("An empty board has no postings, and removes and renews none") { board in
            let (a, b) = try pair(board)
            let node = NodeName()
            try await a.remove(node)
            try require(try await !a.renew(node, for: long), "a posting was renewed that was never made")
            try require(try await b.versions().isEmpty, "a new board is not empty")
            try require(try await b.posting(of: node) == nil, "there is a posting that was never made")
        },
        Check("Every node sees a posting byte for byte and with its version") { board in
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
        Check("A posting replaces the last one of its node, and no other") { board in
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
        Check("A removed posting is gone for every node, and its node can post again") { board in
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
        Check("A posting that is not renewed expires, and no other does") { board in
            let (a, b) = try pair(board)
            let (node, other) = (NodeName(), NodeName())
            let posting = NodePosting(version: 1, bytes: [1])
            try await a.post(posting, as: node, for: expiry)
            try await b.post(posting, as: other, for: long)
            for reader in [a, b] { try await untilGone(node, from: reader, board) }
            for reader in [a, b] { try await see([other: posting], on: reader) }
            try require(try await !a.renew(node, for: long), "a posting was renewed that has expired")
            try await a.post(NodePosting(version: 2, bytes: [2]), as: node, for: long)
            try await see([node: NodePosting(version: 2, bytes: [2]), other: posting], on: b)
        },
        Check("Renewing a posting changes only its expiry, and posting again sets it, too") { board in
            let (a, b) = try pair(board)
            let (again, shortened, marker) = (NodeName(), NodeName(), NodeName())
            let posting = NodePosting(version: 1, bytes: [1, 2, 3])
            try await a.post(posting, as: again, for: expiry)
            try await a.post(posting, as: shortened, for: long)
            let renewed = try await renewed(posting, on: a)
            try await a.post(NodePosting(version: 2, bytes: [4]), as: again, for: long)
            try require(try await a.renew(shortened, for: expiry), "an existing posting was not renewed")
            try await a.post(posting, as: marker, for: expiry)
            for node in [marker, shortened] {
                for reader in [a, b] { try await untilGone(node, from: reader, board) }
            }
            try await see([renewed: posting, again: NodePosting(version: 2, bytes: [4])], on: b)
        },
        Check("A board takes the largest posting, and refuses a larger one without a change") { board in
            let (a, b) = try pair(board)
            try require(
                a.maximumBytes == maximumBytes,
                "the board takes \(a.maximumBytes) bytes, and the check needs \(maximumBytes)")
            let node = NodeName()
            let posting = NodePosting(version: 1, bytes: Array(repeating: 0xFF, count: maximumBytes))
            try await a.post(posting, as: node, for: long)
            do {
                try await a.post(NodePosting(version: 2, bytes: posting.bytes + [0]), as: node, for: long)
                throw ContractViolation("a posting that is one byte too large was accepted")
            } catch let error as MartletError where error.code == .tooLarge {
                try await see([node: posting], on: b)
            }
        },
        Check("Postings of many nodes at once are seen whole, and the last one of each stays") { board in
            try await postAtOnce(on: board.nodes, rounds: 50)
        },
    ]

    private static func pair(_ board: SharedBoard) throws -> (any NodeBoard, any NodeBoard) {
        try require(board.nodes.count > 1, "there is only \(board.nodes.count) node")
        return (board.nodes[0], board.nodes[1])
    }

    /// Looks until a node sees some postings, for a bounded time.
    ///
    /// - Parameter exactly: Whether there must be no other posting.
    private static func see(
        _ postings: [NodeName: NodePosting], on board: any NodeBoard, exactly: Bool = true
    ) async throws {
        let end = ContinuousClock.now + patience
        while .now < end {
            do { return try await look(for: postings, on: board, exactly: exactly) } catch is ContractViolation {}
            try await Task.sleep(for: .milliseconds(10))
        }
        try await look(for: postings, on: board, exactly: exactly)
    }

    private static func look(
        for postings: [NodeName: NodePosting], on board: any NodeBoard, exactly: Bool
    ) async throws {
        let versions = try await board.versions()
        for (node, posting) in postings {
            let version = versions[node].map { "\($0)" } ?? "none"
            try require(versions[node] == posting.version, "a node sees version \(version) of \(posting.version)")
            try require(try await board.posting(of: node) == posting, "a node sees another posting than was posted")
        }
        try require(!exactly || versions.count == postings.count, "a node sees \(versions.count) postings")
    }

    private static func untilGone(_ node: NodeName, from reader: any NodeBoard, _ board: SharedBoard) async throws {
        for _ in 0..<100 {
            try await board.pass(expiry / 10)
            guard try await reader.versions()[node] == nil else { continue }
            return try require(try await reader.posting(of: node) == nil, "a posting exists without its version")
        }
        throw ContractViolation("a posting does not expire")
    }

    /// Posts for the short expiry and renews for a long one. On a busy machine the posting may expire in between; then it
    /// posts again.
    private static func renewed(_ posting: NodePosting, on board: any NodeBoard) async throws -> NodeName {
        for _ in 0..<20 {
            let (node, start) = (NodeName(), ContinuousClock.now)
            try await board.post(posting, as: node, for: expiry)
            if try await board.renew(node, for: long) { return node }
            try require(ContinuousClock.now - start >= expiry, "an existing posting was not renewed")
        }
        throw ContractViolation("calls take as long as postings live, so that none can be renewed")
    }

    /// Posts from one task for each name, and reads on all nodes at the same time.
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
                                try require(seen[name] == nil, "a posting was gone while it was replaced")
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

/// A board that several nodes share.
public struct SharedBoard: Sendable {
    /// The board, as each node sees it.
    public let nodes: [any NodeBoard]
    /// Returns when this much time has passed for the board.
    public let pass: @Sendable (Duration) async throws -> Void

    /// - Parameters:
    ///   - nodes: The board, as each node sees it.
    ///   - pass: Returns when this much time has passed for the board: it sleeps, or advances a clock.
    public init(nodes: [any NodeBoard], pass: @escaping @Sendable (Duration) async throws -> Void) {
        self.nodes = nodes
        self.pass = pass
    }
}
