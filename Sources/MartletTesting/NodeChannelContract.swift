// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// The contract of every ``/Martlet/NodeChannel``, as checks to run against the channels of at least two nodes.
public enum NodeChannelContract {
    /// One promise of the contract.
    public typealias Check = LogContract.Check<[any NodeChannel]>

    private static let patience = Duration.seconds(5)

    /// Saying and hearing.
    public static let checks: [Check] = [
        Check("What a node says is heard by the others, in its order, and by itself not") { nodes in
            try require(nodes.count > 1, "there is only \(nodes.count) node")
            for node in nodes { try await silence(node) }
            let words = (0..<200).map { Array(repeating: UInt8($0), count: $0) }
            for bytes in words { try await nodes[0].say(bytes) }
            for node in nodes.dropFirst() {
                try require(try await hear(words.count, on: node) == words, "a node hears something else than was said")
            }
            for node in nodes { try await silence(node) }
        },
        Check("A node that begins to listen hears what is said then, and nothing of before") { nodes in
            try require(nodes.count > 1, "there is only \(nodes.count) node")
            try await silence(nodes[0])
            try await nodes[0].say([1])
            try await silence(nodes[1])
            try await nodes[0].say([2])
            try require(try await hear(1, on: nodes[1]) == [[2]], "a node hears something else than was said")
        },
        Check("The most is said at once") { nodes in
            try require(nodes.count > 1, "there is only \(nodes.count) node")
            for node in nodes { try await silence(node) }
            let bytes = Array(repeating: 0xFF as UInt8, count: min(nodes[0].mostBytesSaid, 1024 * 1024))
            try await nodes[0].say(bytes)
            try require(try await hear(1, on: nodes[1]) == [bytes], "a node hears something else than was said")
        },
    ]

    private static func silence(_ node: any NodeChannel) async throws {
        let heard = try await node.hear(within: .milliseconds(50))
        try require(heard.isEmpty, "a node hears \(heard.count) things that nobody has said to it")
    }

    private static func hear(_ count: Int, on node: any NodeChannel) async throws -> [[UInt8]] {
        let end = ContinuousClock.now + patience
        var heard: [[UInt8]] = []
        while heard.count < count, .now < end { heard += try await node.hear(within: .milliseconds(50)) }
        return heard
    }
}
