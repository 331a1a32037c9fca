// SPDX-License-Identifier: Apache-2.0

import Martlet

/// Which other nodes there are, and what is known of them: a state machine without I/O.
struct NodeWatch<Instant: InstantProtocol>: Sendable where Instant.Duration == Duration {
    private struct Node {
        /// Of the posting that was read; `nil`: none was.
        var version: UInt64?
        /// When its posting was there.
        var seen: Instant
    }

    private let own: NodeName
    private let terms: ExchangeTerms
    private var nodes: [NodeName: Node] = [:]

    init(own: NodeName, terms: ExchangeTerms) {
        self.own = own
        self.terms = terms
    }

    /// Takes what the board has now.
    ///
    /// - Returns: the nodes whose postings are to be read, those that are gone, and how many there are too many.
    mutating func see(
        _ versions: [NodeName: UInt64], at now: Instant
    ) -> (changed: [NodeName], gone: [NodeName], ignored: Int) {
        let gone = nodes.keys.filter { versions[$0] == nil }.sorted()
        for node in gone { nodes[node] = nil }
        var changed: [NodeName] = []
        var ignored = 0
        for (node, version) in versions.sorted(by: { $0.key < $1.key }) where node != own {
            if nodes[node] == nil, nodes.count >= terms.nodes {
                ignored += 1
                continue
            }
            if nodes[node]?.version != version { changed.append(node) }
            nodes[node, default: Node(seen: now)].seen = now
        }
        return (changed, gone, ignored)
    }

    /// A posting of a node was read.
    mutating func read(_ version: UInt64, of node: NodeName) { nodes[node]?.version = version }

    /// The nodes that were not seen for too long, because the board was away: they count as gone.
    mutating func expire(at now: Instant) -> [NodeName] {
        let expired = nodes.filter { $0.value.seen.duration(to: now) >= terms.expiry }.keys.sorted()
        for node in expired { nodes[node] = nil }
        return expired
    }
}
