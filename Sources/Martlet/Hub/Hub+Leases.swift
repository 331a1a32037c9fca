// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Streams of principals.
extension Hub {
    /// Ends all open streams of a principal at once, on this node. Their clients may come back if they still may.
    ///
    /// - Returns: how many streams there were.
    @discardableResult
    public func revoke(_ principal: String) -> Int {
        leases.revoke(principal)
    }

    /// Has open streams of a principal end at another time, on this node. A stream that was opened with other rights ends,
    /// so that its client comes back with those that it has now.
    ///
    /// - Parameters:
    ///   - name: How the principal calls the streams.
    ///   - grants: The rights to private events that the principal has now.
    ///   - isGranted: Whether the principal may still subscribe to this.
    ///   - judged: When these rights were judged. Streams that have newer ones stay as they are.
    ///   - end: When they end now; `nil`: when they like.
    /// - Returns: how many streams go on, and how many end.
    package func renew(
        _ principal: String, name: String, grants: Set<TopicSelector>, until end: ContinuousClock.Instant?,
        judged: ContinuousClock.Instant = .now, isGranted: (Set<TopicSelector>) -> Bool = { _ in true }
    ) -> (renewed: Int, ended: Int) {
        var (renewed, ended) = (0, 0)
        for lease in leases.leases(of: principal) where lease.terms.name?.isExactly(name) == true {
            guard lease.judged <= judged else { continue }
            let selection = lease.selection
            if selection.grants == grants, isGranted(selection.selectors) {
                lease.renew(until: end, judged: judged)
                renewed += 1
            } else {
                lease.revoke()
                ended += 1
            }
        }
        return (renewed, ended)
    }

    /// Has an open stream on this node select something else, from where it stands: nothing is lost or sent twice of what it
    /// selects before and after. Returns when that is so. Cancelling the task does not take it back.
    ///
    /// - Parameters:
    ///   - control: The name of the stream; see ``LeaseTerms/control``.
    ///   - principal: Whose the stream must be.
    ///   - end: When the stream ends from then on; `nil`: when it likes.
    ///   - select: Returns the selection that replaces another. Called on the thread that writes the stream. An error that it
    ///     throws is thrown here, and nothing has changed.
    /// - Throws: ``StreamChangeError``, ``MartletError`` if the hub does not take the selection.
    package func change(
        _ control: String, of principal: String?, until end: ContinuousClock.Instant? = nil,
        to select: @escaping @Sendable (Selection) throws -> Selection
    ) async throws -> ChangedStream {
        let limits = configuration.limits
        return try await withCheckedThrowingContinuation { continuation in
            // The lease is not kept while this waits: the change is answered if it goes.
            guard let lease = leases.lease(controlledBy: control),
                lease.terms.principal.map(ExactText.init) == principal.map(ExactText.init)
            else {
                return continuation.resume(throwing: StreamChangeError.ended)
            }
            lease.make(
                StreamChange(
                    select: { selection in
                        let selection = try select(selection)
                        try limits.check(selection)
                        return selection
                    },
                    end: end, answer: { continuation.resume(with: $0) }))
        }
    }
}
