// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Hummingbird
import Martlet
import Synchronization

/// One-time tickets for clients that cannot send headers, such as an `EventSource`: a page asks for one with its
/// credentials (`POST /tickets?topic=…`), and opens its stream with it (`GET /events/…?ticket=…`).
///
/// A ticket is a random text of 128 bits, good for one request, for a short time, for the topics that it was asked for,
/// and for no more than whoever asked for it may. So there is no harm in it when the URL turns up in a log. Tickets are kept
/// in memory, by this process alone.
public final class Tickets: Sendable {
    /// How long a ticket is good for where nothing else is said.
    public static let defaultLifetime = Duration.seconds(30)

    private let book: Mutex<TicketBook>
    public let lifetime: Duration

    /// - Parameters:
    ///   - lifetime: How long a ticket is good for.
    ///   - capacity: The most topics of tickets that are neither used nor too old; above it no ticket is given out.
    ///   - share: The most of these that one principal may have.
    public init(lifetime: Duration = Tickets.defaultLifetime, capacity: Int = 10_000, share: Int = 1000) {
        self.lifetime = lifetime
        book = Mutex(TicketBook(lifetime: lifetime, capacity: capacity, share: share))
    }

    /// Gives out a ticket for some topics.
    ///
    /// - Throws: ``Problem``: 403 where one of them is not granted, or there are no credentials that it could stand for; 503
    ///   where there are too many tickets.
    func issue(_ grant: Grant, for topics: Set<TopicSelector>) throws(Problem) -> String {
        guard grant.principal != nil || grant.end != nil else {
            throw Problem(.forbidden, "A ticket stands for credentials. Subscribe without one.")
        }
        try grant.checkSubscribing(to: topics)
        var grant = grant
        grant.limitedTo = topics
        let words = (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 16) }
        let ticket = words.map { String(repeating: "0", count: 16 - $0.count) + $0 }.joined()
        guard book.withLock({ $0.insert(grant, as: ticket, now: .now) }) else {
            throw Problem(
                .serviceUnavailable, "Too many tickets are not used yet. Try again later.",
                headers: [.retryAfter: "\(max(1, lifetime.components.seconds))"])
        }
        return ticket
    }

    /// - Throws: ``Problem`` of status 401 where there is no such ticket, or not any more.
    func redeem(_ ticket: String) throws(Problem) -> Grant {
        if let grant = book.withLock({ $0.redeem(ticket, now: .now) }), grant.end.map({ $0 > Date() }) ?? true {
            return grant
        }
        let message = "The ticket was used already or is too old. Ask for another: POST /tickets."
        throw Problem(.unauthorized, message, field: "ticket", headers: [.wwwAuthenticate: "Bearer"])
    }

    /// Takes back the tickets of a principal.
    func revoke(_ principal: String) { book.withLock { $0.revoke(principal) } }
}

extension Access {
    /// The same, but that who subscribes may show a ticket (`?ticket=…`) in place of his credentials.
    public func accepting(_ tickets: Tickets) -> Access {
        Access { request, context, purpose in
            guard purpose == .subscribe, request.method == .get,
                let ticket = try RequestTarget(request).query.values("ticket").first
            else { return try await grant(for: request, context: context, to: purpose) }
            return try tickets.redeem(ticket)
        }
    }
}
