// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// The right to a stream, for as long as it lasts.
///
/// A lease belongs to one subscription and is released when its stream has ended, whatever ended it, or was never opened.
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
    /// - Parameter observer: `nil`: nobody is called any more.
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
