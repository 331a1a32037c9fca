// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import Synchronization

/// The terms of a stream.
package struct LeaseTerms: Sendable {
    /// The principal of the stream; `nil`: none, so the stream can be neither revoked nor renewed.
    package var principal: String?
    /// How the principal calls the stream, to renew it; several may have the same name.
    package var name: String?
    /// The name under which what the stream selects can be changed, which no other stream ever has; `nil`: it cannot.
    package var control: String?
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
    var isEmpty: Bool { principal == nil && end == nil && companion == nil && control == nil }
}

/// The right to a stream, for as long as it lasts.
///
/// A lease belongs to one subscription and is released when its stream has ended for any reason, or was never opened.
final class Lease: Sendable {
    private struct State {
        var end: ContinuousClock.Instant?
        /// When the rights were judged that it has now.
        var judged: ContinuousClock.Instant
        var isRevoked = false
        var selection: Selection
        /// Those that the stream is still to make.
        var changes: [StreamChange] = []
        /// Told of every change.
        var observer: (@Sendable () -> Void)?
    }

    /// The most ``changes`` of a stream that wait.
    static let mostChanges = 64

    let terms: LeaseTerms
    private let state: Mutex<State>
    private let book: LeaseBook

    init(_ terms: LeaseTerms, for selection: Selection, in book: LeaseBook) {
        self.terms = terms
        self.book = book
        state = Mutex(State(end: terms.end, judged: terms.judged, selection: selection))
    }

    deinit {
        book.remove(ObjectIdentifier(self), of: terms)
        for change in takeChanges() { change.answer(.failure(StreamChangeError.ended)) }
    }

    /// What the stream selects now.
    var selection: Selection {
        get { state.withLock { $0.selection } }
        set { state.withLock { $0.selection = newValue } }
    }

    var end: ContinuousClock.Instant? { state.withLock { $0.end } }

    var isRevoked: Bool { state.withLock { $0.isRevoked } }

    /// Calls back, from any thread, when the end is another, the lease was revoked, or a change waits; at once where that
    /// was before.
    ///
    /// - Parameter observer: `nil`: no further calls.
    func observe(_ observer: (@Sendable () -> Void)?) {
        let isDue = state.withLock { state in
            state.observer = observer
            return state.isRevoked || !state.changes.isEmpty
        }
        if isDue { observer?() }
    }

    /// Takes the right back: the stream ends at once.
    func revoke() { change { $0.isRevoked = true } }

    /// Has the stream end at another time; `nil`: when it likes.
    ///
    /// - Parameter judged: When its rights were judged; `nil`: these are those that it had.
    func renew(until end: ContinuousClock.Instant?, judged: ContinuousClock.Instant? = nil) {
        change { ($0.end, $0.judged) = (end, judged ?? $0.judged) }
    }

    /// When the rights were judged that the stream has now.
    var judged: ContinuousClock.Instant { state.withLock { $0.judged } }

    /// Has the stream select something else, as soon as its shard gets to it.
    func make(_ streamChange: StreamChange) {
        var isTaken = false
        change { state in
            guard state.changes.count < Self.mostChanges else { return }
            state.changes.append(streamChange)
            isTaken = true
        }
        if !isTaken { streamChange.answer(.failure(StreamChangeError.tooMany)) }
    }

    func takeChanges() -> [StreamChange] {
        state.withLock { state in
            defer { state.changes = [] }
            return state.changes
        }
    }

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
    }

    private struct State {
        var entries: [ExactText: [ObjectIdentifier: Entry]] = [:]
        /// By ``LeaseTerms/control``.
        var controlled: [String: Entry] = [:]
        var revocations = Revocations(memory: LeaseBook.memory)
    }

    /// How long it may take from judging a right to opening the stream.
    private static let memory = Duration.seconds(60)

    private let state = Mutex(State())

    func insert(_ lease: Lease) {
        let entry = Entry(lease: lease)
        let principal = lease.terms.principal.map(ExactText.init)
        let isRevoked = state.withLock { state in
            if let control = lease.terms.control { state.controlled[control] = entry }
            guard let principal else { return false }
            state.entries[principal, default: [:]][ObjectIdentifier(lease)] = entry
            return state.revocations.contains(principal.string, judged: lease.terms.judged)
        }
        if isRevoked { lease.revoke() }
    }

    /// Called when the lease goes.
    func remove(_ lease: ObjectIdentifier, of terms: LeaseTerms) {
        let principal = terms.principal.map(ExactText.init)
        guard principal != nil || terms.control != nil else { return }
        state.withLock { state in
            if let control = terms.control { state.controlled[control] = nil }
            guard let principal else { return }
            state.entries[principal]?[lease] = nil
            if state.entries[principal]?.isEmpty == true { state.entries[principal] = nil }
        }
    }

    /// The leases of a principal that are still there.
    func leases(of principal: String) -> [Lease] {
        // The leases leave the lock before they may be released.
        state.withLock { $0.entries[ExactText(principal)]?.values.compactMap(\.lease) ?? [] }
    }

    /// The lease of a stream that can be changed under a name.
    func lease(controlledBy control: String) -> Lease? { state.withLock { $0.controlled[control]?.lease } }

    /// Revokes the leases of a principal, and those that are on their way. Returns how many there were.
    func revoke(_ principal: String, now: ContinuousClock.Instant = .now) -> Int {
        state.withLock { $0.revocations.insert(principal, now: now) }
        let leases = leases(of: principal)
        for lease in leases { lease.revoke() }
        return leases.count
    }
}
