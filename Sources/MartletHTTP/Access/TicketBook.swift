// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// The tickets that were given out and not used yet. A value.
struct TicketBook {
    private struct Ticket {
        var grant: Grant
        var end: ContinuousClock.Instant

        var owner: ExactText? { grant.principal.map { ExactText($0) } }
        var topics: Int { max(1, grant.limitedTo?.count ?? 1) }
    }

    private let lifetime: Duration
    private let capacity: Int
    private let share: Int
    private var tickets: [String: Ticket] = [:]
    /// How many topics the tickets of each principal have; `nil`: those of nobody in particular.
    private var held: [ExactText?: Int] = [:]

    /// - Parameters:
    ///   - lifetime: How long a ticket is good for.
    ///   - capacity: The most topics of all tickets.
    ///   - share: The most topics of the tickets of one principal.
    init(lifetime: Duration, capacity: Int, share: Int) {
        self.lifetime = lifetime
        self.capacity = capacity
        self.share = share
    }

    var count: Int { tickets.count }

    private func hasRoom(for ticket: Ticket) -> Bool {
        let total = held.values.reduce(0, +)
        return total + ticket.topics <= capacity && held[ticket.owner, default: 0] + ticket.topics <= share
    }

    /// Remembers a grant. Returns whether there was room.
    mutating func insert(_ grant: Grant, as text: String, now: ContinuousClock.Instant) -> Bool {
        let ticket = Ticket(grant: grant, end: now + lifetime)
        if !hasRoom(for: ticket) { removeAll { $0.end <= now } }
        guard hasRoom(for: ticket) else { return false }
        tickets[text] = ticket
        held[ticket.owner, default: 0] += ticket.topics
        return true
    }

    /// What a ticket is good for, once.
    mutating func redeem(_ text: String, now: ContinuousClock.Instant) -> Grant? {
        guard let found = tickets.removeValue(forKey: text) else { return nil }
        release(found)
        return now < found.end ? found.grant : nil
    }

    mutating func revoke(_ principal: String) { removeAll { $0.grant.principal?.isExactly(principal) == true } }

    private mutating func removeAll(where isGone: (Ticket) -> Bool) {
        for (text, ticket) in tickets where isGone(ticket) {
            tickets[text] = nil
            release(ticket)
        }
    }

    private mutating func release(_ ticket: Ticket) {
        let left = held[ticket.owner, default: 0] - ticket.topics
        held[ticket.owner] = left > 0 ? left : nil
    }
}
