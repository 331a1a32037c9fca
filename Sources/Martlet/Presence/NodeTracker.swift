// SPDX-License-Identifier: Apache-2.0

/// Tracks the other nodes and their postings: a state machine without I/O.
struct NodeTracker<Instant: InstantProtocol>: Sendable where Instant.Duration == Duration {
    private struct Node {
        /// The version of the posting that was read; `nil`: none was.
        var version: UInt64?
        /// When the board last had a posting of the node.
        var seen: Instant
    }

    /// The other nodes that are there.
    var names: [NodeName] { Array(nodes.keys) }

    private let own: NodeName
    private let configuration: ExchangeConfiguration
    private var nodes: [NodeName: Node] = [:]

    init(own: NodeName, configuration: ExchangeConfiguration) {
        self.own = own
        self.configuration = configuration
    }

    /// Takes the versions of the postings that the board has now.
    ///
    /// - Returns: The nodes whose postings must be read, the nodes that are gone, and the number of nodes above the limit.
    mutating func see(
        _ versions: [NodeName: UInt64], at now: Instant
    ) -> (changed: [NodeName], gone: [NodeName], ignored: Int) {
        let gone = nodes.keys.filter { versions[$0] == nil }.sorted()
        for node in gone { nodes[node] = nil }
        var changed: [NodeName] = []
        var ignored = 0
        for (node, version) in versions.sorted(by: { $0.key < $1.key }) where node != own {
            if nodes[node] == nil, nodes.count >= configuration.nodes {
                ignored += 1
                continue
            }
            if nodes[node]?.version != version { changed.append(node) }
            nodes[node, default: Node(seen: now)].seen = now
        }
        return (changed, gone, ignored)
    }

    /// Takes the version of a posting that was read.
    mutating func read(_ version: UInt64, of node: NodeName) { nodes[node]?.version = version }

    /// Removes and returns the nodes that were not seen for too long, because the board was away.
    mutating func expire(at now: Instant) -> [NodeName] {
        let expired = nodes.filter { $0.value.seen.duration(to: now) >= configuration.expiry }.keys.sorted()
        for node in expired { nodes[node] = nil }
        return expired
    }
}

/// Decides when a node posts its state, and when it renews its posting: a state machine without I/O.
struct PostingSchedule<Instant: InstantProtocol>: Sendable where Instant.Duration == Duration {
    enum Action: Hashable {
        case post
        case renew
        case nothing
    }

    private let configuration: ExchangeConfiguration
    /// The revision on the board; `nil`: none, or it is not known.
    private var posted: Int?
    /// When the posting must be renewed.
    private var renewal: Instant?
    /// When the next posting may be; `nil`: now.
    private var nextPosting: Instant?

    init(configuration: ExchangeConfiguration) { self.configuration = configuration }

    func action(revision: Int, at now: Instant) -> Action {
        if posted == nil { return .post }
        if posted != revision, nextPosting.map({ $0 <= now }) ?? true { return .post }
        return renewal.map { $0 <= now } ?? false ? .renew : .nothing
    }

    mutating func posted(revision: Int, bytes: Int, at now: Instant) {
        posted = revision
        nextPosting = now.advanced(by: .seconds(Double(bytes) / Double(max(configuration.bytesPerSecond, 1))))
        renewed(at: now)
    }

    mutating func renewed(at now: Instant) { renewal = now.advanced(by: configuration.expiry / 3) }

    /// The board has lost the posting.
    mutating func lost() { posted = nil }
}
