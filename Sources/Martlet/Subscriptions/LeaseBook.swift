// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import Synchronization

/// The leases of all who have a name. It keeps none of them alive.
///
/// Who was revoked is remembered for a while, so that a stream is revoked too whose right was judged before and which opens
/// after. Principals are told apart byte for byte.
final class LeaseBook: Sendable {
    private struct Entry {
        weak var lease: Lease?
        /// What the stream was opened with.
        let selection: Selection
    }

    private struct State {
        var entries: [ExactText: [ObjectIdentifier: Entry]] = [:]
        var revocations: [ExactText: ContinuousClock.Instant] = [:]
    }

    /// How long it may take from judging a right to opening the stream.
    private static let memory = Duration.seconds(60)
    /// The most revocations that are remembered; above it the older half is forgotten.
    private static let mostRevocations = 10_000

    private let state = Mutex(State())

    func insert(_ lease: Lease, for selection: Selection) {
        guard let principal = lease.terms.principal.map(ExactText.init) else { return }
        let entry = Entry(lease: lease, selection: selection)
        let isRevoked = state.withLock { state in
            state.entries[principal, default: [:]][ObjectIdentifier(lease)] = entry
            return state.revocations[principal].map { lease.terms.judged <= $0 } ?? false
        }
        if isRevoked { lease.revoke() }
    }

    /// Called when the lease goes.
    func remove(_ lease: ObjectIdentifier, of principal: String?) {
        guard let principal = principal.map(ExactText.init) else { return }
        state.withLock { state in
            state.entries[principal]?[lease] = nil
            if state.entries[principal]?.isEmpty == true { state.entries[principal] = nil }
        }
    }

    /// The leases of a principal that are still there, each with the selection that its stream was opened with.
    func leases(of principal: String) -> [(lease: Lease, selection: Selection)] {
        // Whoever holds the last reference releases it outside the lock.
        state.withLock { state in
            state.entries[ExactText(principal)]?.values.compactMap { entry in
                entry.lease.map { ($0, entry.selection) }
            } ?? []
        }
    }

    /// Revokes the leases of a principal, and those that are on their way. Returns how many there were.
    func revoke(_ principal: String, now: ContinuousClock.Instant = .now) -> Int {
        state.withLock { state in
            if state.revocations.count >= Self.mostRevocations {
                state.revocations = state.revocations.filter { now - $0.value < Self.memory }
                let times = state.revocations.values.sorted()
                if times.count >= Self.mostRevocations {
                    state.revocations = state.revocations.filter { $0.value > times[times.count / 2] }
                }
            }
            state.revocations[ExactText(principal)] = now
        }
        let leases = leases(of: principal)
        for (lease, _) in leases { lease.revoke() }
        return leases.count
    }
}
