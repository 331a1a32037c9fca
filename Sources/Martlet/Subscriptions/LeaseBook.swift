// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The leases of all who have a name. It keeps none of them alive.
final class LeaseBook: Sendable {
    private struct Entry {
        weak var lease: Lease?
        /// What the stream was opened with.
        let grants: Set<TopicSelector>
    }

    private let entries = Mutex<[String: [ObjectIdentifier: Entry]]>([:])

    func insert(_ lease: Lease, grants: Set<TopicSelector>) {
        guard let principal = lease.terms.principal else { return }
        let entry = Entry(lease: lease, grants: grants)
        entries.withLock { $0[principal, default: [:]][ObjectIdentifier(lease)] = entry }
    }

    /// Called when the lease goes.
    func remove(_ lease: ObjectIdentifier, of principal: String?) {
        guard let principal else { return }
        entries.withLock { entries in
            entries[principal]?[lease] = nil
            if entries[principal]?.isEmpty == true { entries[principal] = nil }
        }
    }

    /// The leases of a principal that are still there, each with the grants that its stream was opened with.
    func leases(of principal: String) -> [(lease: Lease, grants: Set<TopicSelector>)] {
        // Whoever holds the last reference releases it outside the lock.
        entries.withLock { entries in
            entries[principal]?.values.compactMap { entry in entry.lease.map { ($0, entry.grants) } } ?? []
        }
    }
}
