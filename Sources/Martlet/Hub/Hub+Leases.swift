// SPDX-License-Identifier: Apache-2.0

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
    ///   - end: When they end now; `nil`: when they like.
    /// - Returns: how many streams go on, and how many end.
    package func renew(
        _ principal: String, name: String, grants: Set<TopicSelector>, until end: ContinuousClock.Instant?,
        isGranted: (Set<TopicSelector>) -> Bool = { _ in true }
    ) -> (renewed: Int, ended: Int) {
        var (renewed, ended) = (0, 0)
        for (lease, selection) in leases.leases(of: principal) where lease.terms.name == name {
            if selection.grants == grants, isGranted(selection.selectors) {
                lease.renew(until: end)
                renewed += 1
            } else {
                lease.revoke()
                ended += 1
            }
        }
        return (renewed, ended)
    }
}
