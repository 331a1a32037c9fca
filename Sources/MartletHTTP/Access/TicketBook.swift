// SPDX-License-Identifier: Apache-2.0

import Martlet

/// The tickets that were given out and not used yet. A value.
struct TicketBook {
    private struct Ticket {
        var grant: Grant
        var end: ContinuousClock.Instant
    }

    private let lifetime: Duration
    private let capacity: Int
    private var tickets: [String: Ticket] = [:]

    /// - Parameters:
    ///   - lifetime: How long a ticket is good for.
    ///   - capacity: The most tickets at a time.
    init(lifetime: Duration, capacity: Int) {
        self.lifetime = lifetime
        self.capacity = capacity
    }

    var count: Int { tickets.count }

    /// Remembers a grant. Returns whether there was room.
    mutating func insert(_ grant: Grant, as ticket: String, now: ContinuousClock.Instant) -> Bool {
        if tickets.count >= capacity { tickets = tickets.filter { $0.value.end > now } }
        guard tickets.count < capacity else { return false }
        tickets[ticket] = Ticket(grant: grant, end: now + lifetime)
        return true
    }

    /// What a ticket is good for, once.
    mutating func redeem(_ ticket: String, now: ContinuousClock.Instant) -> Grant? {
        guard let found = tickets.removeValue(forKey: ticket), now < found.end else { return nil }
        return found.grant
    }

    mutating func revoke(_ principal: String) { tickets = tickets.filter { $0.value.grant.principal != principal } }
}
