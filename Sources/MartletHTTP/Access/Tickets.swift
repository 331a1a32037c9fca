// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import HTTPTypes
public import Martlet
import MartletSupport
import Synchronization

/// One-time tickets for clients that cannot send headers, such as an `EventSource`: a page gets a ticket with its
/// credentials (`POST /tickets?topic=…`), and opens its stream with the ticket (`GET /events/…?ticket=…`).
///
/// A ticket is a random text of 128 bits, behind the place where it was issued if nodes need that. It is good for one request, for a short time, for the topics that it was issued
/// for, and for no more than its owner may do. So it does no harm when the URL turns up in a log. Tickets are kept in the
/// memory of this process, or in a store that nodes share, so that each of them takes the tickets of all. All methods may be
/// called from any thread.
public final class Tickets: Sendable {
    /// The default ``lifetime``.
    public static let defaultLifetime = Duration.seconds(30)
    /// The default bounds of the topics of tickets that are neither used nor expired: of all, and of one principal.
    public static let defaultCapacity = 10_000
    public static let defaultShare = 1000

    private let book: Mutex<TicketBook>
    /// How long a ticket is valid.
    public let lifetime: Duration
    private let share: Int
    private let store: (any OneTimeStore)?
    /// Tickets of other nodes are only in the store, so this node looks here when one is used.
    private let revocations: Mutex<Revocations>

    /// - Parameters:
    ///   - lifetime: How long a ticket is valid.
    ///   - capacity: The most topics of tickets that are neither used nor expired. Above it, no ticket is issued.
    ///   - share: The most of these topics for one principal.
    ///   - store: What the nodes share; `nil`: a ticket is valid on the node that has issued it. The bounds are for each node,
    ///     and a ticket that another node takes counts until it would have expired.
    public init(
        lifetime: Duration = Tickets.defaultLifetime, capacity: Int = Tickets.defaultCapacity,
        share: Int = Tickets.defaultShare, store: (any OneTimeStore)? = nil
    ) {
        self.store = store
        self.lifetime = lifetime
        self.share = share
        book = Mutex(TicketBook(lifetime: lifetime, capacity: capacity, share: share))
        revocations = Mutex(Revocations(memory: lifetime + SharedGrant.clockDifference * 2))
    }

    /// Issues a ticket for some topics.
    ///
    /// - Throws: ``Problem``: 403 if one of the topics is not granted, or there are no credentials that the ticket could
    ///   stand for; 429 if the principal has too many tickets; 503 if there are too many. What the store throws.
    func issue(_ grant: Grant, for topics: Set<TopicSelector>) async throws -> String {
        guard grant.principal != nil || grant.end != nil else {
            throw Problem(.forbidden, "A ticket stands for credentials. Subscribe without one.")
        }
        try grant.checkSubscribing(to: topics)
        var grant = grant
        grant.limitedTo = topics
        grant.judged = .now
        let ticket = Self.place(of: store) + String.randomName()
        // By then, those of now are used or have expired.
        let headers: HTTPFields = [.retryAfter: "\(max(1, lifetime.components.seconds))"]
        switch book.withLock({ $0.insert(grant, as: ticket, now: .now) }) {
        case .stored:
            do {
                try await store?.put(
                    Array(JSONEncoder().encode(SharedGrant(grant))), as: Self.name(of: ticket), for: lifetime)
            } catch {
                _ = book.withLock { $0.redeem(ticket, now: .now) }
                throw error
            }
            return ticket
        case .aboveShare:
            var problem = Problem(
                .tooManyRequests,
                "Your tickets that are not used yet have \(share) topics, which is the most. Use them, or wait.",
                headers: headers)
            problem.limit = "max-tickets-per-principal"
            throw problem
        case .aboveCapacity:
            throw Problem(
                .serviceUnavailable, "Too many tickets are not used yet. Try again later.", headers: headers)
        }
    }

    /// Uses up a ticket.
    ///
    /// - Throws: ``Problem`` of status 401 if the ticket is unknown, used, expired or revoked. What the store throws.
    func redeem(_ ticket: String) async throws -> Grant {
        var grant = book.withLock { $0.redeem(ticket, now: .now) }
        if let store {
            if let bytes = try await store.take(Self.name(of: ticket)) {
                grant = try grant ?? JSONDecoder().decode(SharedGrant.self, from: Data(bytes)).grant()
            } else {
                // Another node has taken it.
                grant = nil
            }
        }
        if let grant, grant.end.map({ $0 > Date() }) ?? true, !isRevoked(grant) { return grant }
        let message = "The ticket was used already or is too old. Ask for another: POST /tickets."
        throw Problem(.unauthorized, message, field: "ticket", headers: [.wwwAuthenticate: "Bearer"])
    }

    /// What a ticket begins with, so that all nodes know where it was put.
    private static func place(of store: (any OneTimeStore)?) -> String {
        guard let place = store?.place, !place.isEmpty else { return "" }
        return place + "."
    }

    /// What the store calls a ticket. Who can read its names cannot use the tickets.
    private static func name(of ticket: String) -> String {
        let place = ticket.cutExactly(at: UInt8(ascii: ".")).map { "\($0.before)." } ?? ""
        return place + SHA256.hash(data: Data(ticket.utf8)).map(\.hexText).joined()
    }

    /// Revokes the tickets that a principal has now. From then on this node refuses them, and it removes those that it has
    /// issued from the store.
    func revoke(_ principal: String) {
        revocations.withLock { $0.insert(principal, now: .now) }
        let removed = book.withLock { $0.revoke(principal) }
        guard let store, !removed.isEmpty else { return }
        Task { for ticket in removed { _ = try await store.take(Self.name(of: ticket)) } }
    }

    private func isRevoked(_ grant: Grant) -> Bool {
        guard let principal = grant.principal, let judged = grant.judged else { return false }
        return revocations.withLock { $0.contains(principal, judged: judged) }
    }
}

extension Access {
    /// The same access, but a subscriber may use a ticket (`?ticket=…`) in place of its credentials.
    public func accepting(_ tickets: Tickets) -> Access {
        changed { request, purpose in
            try purpose == .subscribe && request.method == .get && request.query.values("ticket").first != nil
        } _: { request, _ in
            try await tickets.redeem(try request.query.values("ticket").first ?? "")
        }
    }
}

extension String {
    /// A text of 128 random bits, which nobody can guess.
    static func randomName() -> String {
        UInt64.random(in: .min ... .max).hexText + UInt64.random(in: .min ... .max).hexText
    }
}

/// The tickets that were issued and are not used yet. A value.
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
    /// The number of topics in the tickets of each principal; `nil`: of anonymous clients.
    private var held: [ExactText?: Int] = [:]
    /// The sum of them.
    private var total = 0

    /// - Parameters: See ``Tickets``.
    init(lifetime: Duration, capacity: Int, share: Int) {
        self.lifetime = lifetime
        self.capacity = capacity
        self.share = share
    }

    var count: Int { tickets.count }

    enum Insertion {
        case stored
        /// The principal has too many.
        case aboveShare
        /// All together have too many.
        case aboveCapacity
    }

    private func room(for ticket: Ticket) -> Insertion {
        guard held[ticket.owner, default: 0] + ticket.topics <= share else { return .aboveShare }
        return total + ticket.topics <= capacity ? .stored : .aboveCapacity
    }

    /// Stores a grant, if there is room.
    mutating func insert(_ grant: Grant, as text: String, now: ContinuousClock.Instant) -> Insertion {
        let ticket = Ticket(grant: grant, end: now + lifetime)
        if room(for: ticket) != .stored { removeAll { $0.end <= now } }
        let room = room(for: ticket)
        guard room == .stored else { return room }
        tickets[text] = ticket
        held[ticket.owner, default: 0] += ticket.topics
        total += ticket.topics
        return .stored
    }

    /// Removes a ticket, and returns its grant unless it has expired.
    mutating func redeem(_ text: String, now: ContinuousClock.Instant) -> Grant? {
        guard let found = tickets.removeValue(forKey: text) else { return nil }
        release(found)
        return now < found.end ? found.grant : nil
    }

    /// Returns those that were removed.
    @discardableResult
    mutating func revoke(_ principal: String) -> [String] {
        removeAll { $0.grant.principal?.isExactly(principal) == true }
    }

    @discardableResult
    private mutating func removeAll(where isGone: (Ticket) -> Bool) -> [String] {
        let removed = tickets.filter { isGone($0.value) }
        for (text, ticket) in removed {
            tickets[text] = nil
            release(ticket)
        }
        return Array(removed.keys)
    }

    private mutating func release(_ ticket: Ticket) {
        let left = held[ticket.owner, default: 0] - ticket.topics
        held[ticket.owner] = left > 0 ? left : nil
        total -= ticket.topics
    }
}
