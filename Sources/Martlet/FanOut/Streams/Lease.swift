// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import Synchronization

/// The terms of a stream.
package struct LeaseTerms: Sendable {
    /// The principal of the stream; `nil`: none, so the stream can be neither revoked nor renewed.
    package var principal: String?
    /// How the principal calls the stream, to renew it; several may have the same name.
    package var name: String?
    /// When the stream ends; `nil`: when it likes.
    package var end: ContinuousClock.Instant?
    /// When it was asked for: it is revoked with what was revoked since then.
    package var judged: ContinuousClock.Instant
    /// Released when the stream has ended, or when it turns out that it will not be opened.
    package var companion: (any AnyObject & Sendable)?

    package init(
        principal: String? = nil, name: String? = nil, end: ContinuousClock.Instant? = nil,
        judged: ContinuousClock.Instant = .now, companion: (any AnyObject & Sendable)? = nil
    ) {
        self.principal = principal
        self.name = name
        self.end = end
        self.judged = judged
        self.companion = companion
    }

    /// Whether they say nothing.
    var isEmpty: Bool { principal == nil && end == nil && companion == nil }
}

/// The right to a stream, for as long as it lasts.
///
/// A lease belongs to one subscription and is released when its stream has ended for any reason, or was never opened.
final class Lease: Sendable {
    private struct State {
        var end: ContinuousClock.Instant?
        var isRevoked = false
        /// Told of every change.
        var observer: (@Sendable () -> Void)?
    }

    let terms: LeaseTerms
    private let state: Mutex<State>
    private let book: LeaseBook

    init(_ terms: LeaseTerms, in book: LeaseBook) {
        self.terms = terms
        self.book = book
        state = Mutex(State(end: terms.end))
    }

    deinit { book.remove(ObjectIdentifier(self), of: terms.principal) }

    var end: ContinuousClock.Instant? { state.withLock { $0.end } }

    var isRevoked: Bool { state.withLock { $0.isRevoked } }

    /// Calls back, from any thread, when the end is another or the lease was revoked; at once where that was before.
    ///
    /// - Parameter observer: `nil`: no further calls.
    func observe(_ observer: (@Sendable () -> Void)?) {
        let isRevoked = state.withLock { state in
            state.observer = observer
            return state.isRevoked
        }
        if isRevoked { observer?() }
    }

    /// Takes the right back: the stream ends at once.
    func revoke() { change { $0.isRevoked = true } }

    /// Has the stream end at another time; `nil`: when it likes.
    func renew(until end: ContinuousClock.Instant?) { change { $0.end = end } }

    private func change(_ change: (inout sending State) -> Void) {
        let observer = state.withLock { state in
            change(&state)
            return state.observer
        }
        observer?()
    }
}

/// The leases of all principals. It keeps none of them alive.
///
/// Revocations are remembered for a while: a stream whose right was judged before the revocation and that opens after it
/// is revoked, too. Principals are told apart byte for byte.
final class LeaseBook: Sendable {
    private struct Entry {
        weak var lease: Lease?
        /// The selection that the stream was opened with.
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
        // The leases leave the lock before they may be released.
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
