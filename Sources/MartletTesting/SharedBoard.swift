// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// A board as the nodes have it that share it.
public struct SharedBoard: Sendable {
    /// How each node sees the board.
    public let nodes: [any NodeBoard]
    /// Returns when some time has passed for the board.
    public let pass: @Sendable (Duration) async throws -> Void

    public init(nodes: [any NodeBoard], pass: @escaping @Sendable (Duration) async throws -> Void) {
        self.nodes = nodes
        self.pass = pass
    }
}
