// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Counts what each stream of a shard is sent, for ``FanOut/onStreamEnd``. Without that, a shard has no ledger.
///
/// Nothing is counted for each member of a group: the group counts once, and a member that joins it takes note of what the
/// group has counted by then.
struct StreamLedger {
    struct Count: Hashable {
        var events = 0
        var bytes = 0

        static func += (a: inout Count, b: Count) {
            a.events += b.events
            a.bytes += b.bytes
        }

        static func -= (a: inout Count, b: Count) {
            a.events -= b.events
            a.bytes -= b.bytes
        }
    }

    private struct Entry {
        /// In milliseconds since the shard began.
        var opened: Int64 = 0
        /// The events and bytes that it was sent. For a member of a group, the counts of the group are added to these.
        var count = Count()
        var address: String?
        /// An object, because few streams have one.
        var request: RequestName?
    }

    private final class RequestName: Sendable {
        let id: String?
        let trace: TraceParent?

        /// `nil` if a request has no name.
        init?(_ client: StreamClient) {
            guard client.requestID != nil || client.trace != nil else { return nil }
            id = client.requestID
            trace = client.trace
        }
    }

    /// At the index of the member.
    private var entries: [Entry] = []
    /// What the members of each group were sent, one for each kind. They only grow, also when the place of a group is used
    /// again.
    private var groups: [Count] = []

    /// - Parameter opened: Since the shard began.
    mutating func open(_ index: Int32, _ client: StreamClient?, at opened: Duration) {
        if index >= entries.count { entries += repeatElement(Entry(), count: Int(index) + 1 - entries.count) }
        entries[Int(index)] = Entry(
            opened: Int64(opened.milliseconds), address: client?.address,
            request: client.flatMap(RequestName.init))
    }

    /// - Returns: what is known of the stream.
    mutating func close(_ index: Int32) -> (client: StreamClient, opened: Duration, count: Count) {
        let entry = entries[Int(index)]
        entries[Int(index)] = Entry()
        return (
            StreamClient(address: entry.address, requestID: entry.request?.id, trace: entry.request?.trace),
            .milliseconds(Int(entry.opened)),
            entry.count
        )
    }

    /// A member was sent something.
    mutating func add(_ count: Count, to index: Int32) { entries[Int(index)].count += count }

    /// All members of a group that are of one kind were sent something.
    mutating func add(_ count: Count, toGroup group: Int32, _ kind: Kind) {
        let place = place(of: group, kind)
        if place >= groups.count { groups += repeatElement(Count(), count: place + 1 - groups.count) }
        groups[place] += count
    }

    mutating func join(_ group: Int32, _ index: Int32, _ kind: Kind) { entries[Int(index)].count -= sent(group, kind) }

    mutating func leave(_ group: Int32, _ index: Int32, _ kind: Kind) { entries[Int(index)].count += sent(group, kind) }

    private func sent(_ group: Int32, _ kind: Kind) -> Count {
        let place = place(of: group, kind)
        return place < groups.count ? groups[place] : Count()
    }

    private func place(of group: Int32, _ kind: Kind) -> Int { Int(group) * Kind.count + kind.number }

    /// Members of a group are sent the same if they are of one kind.
    struct Kind {
        static let count = 2 * StreamProfile.allCases.count

        fileprivate let number: Int

        init(_ framing: Framing, _ profile: StreamProfile) {
            number = 2 * Int(profile.rawValue) + (framing == .chunked ? 0 : 1)
        }
    }
}

extension Sinks {
    /// Counts what one member was sent.
    mutating func countSent(_ bytes: Int, deliveries: Int, replayed: Int = 0, for index: Int32) {
        tally.add(bytes, deliveries: deliveries, replayed: replayed)
        ledger?.add(.init(events: deliveries, bytes: bytes), to: index)
    }

    /// Reports the end of a stream to the hub. Called when the member has left its group, and before its place is free.
    mutating func report(_ index: Int32, because reason: StreamEnd) {
        guard let onStreamEnd = fanOut.onStreamEnd, let entry = ledger?.close(index) else { return }
        let terms = leases[index]?.lease.terms
        onStreamEnd(
            EndedStream(
                reason: reason, topics: groups[Int(members[Int(index)].group)]?.selection.selectors ?? [],
                principal: terms?.principal, name: terms?.name, client: entry.client,
                duration: max(.zero, ContinuousClock.now - start - entry.opened), events: entry.count.events,
                bytes: entry.count.bytes))
    }
}

extension Sinks.Member {
    /// What its group counts for it.
    var kind: StreamLedger.Kind { .init(framing, profile) }
}
