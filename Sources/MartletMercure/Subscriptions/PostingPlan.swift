// SPDX-License-Identifier: Apache-2.0

/// When a node posts its connections, and when it renews what it has posted: a state machine without I/O.
struct PostingPlan<Instant: InstantProtocol>: Sendable where Instant.Duration == Duration {
    enum Action: Hashable {
        case post
        case renew
        case nothing
    }

    private let terms: ExchangeTerms
    /// Which revision is on the board. `nil`: none, or who knows which.
    private var posted: Int?
    /// When what is posted has to be renewed.
    private var renewal: Instant?
    /// When the next posting may be. `nil`: at once.
    private var nextPosting: Instant?

    init(terms: ExchangeTerms) { self.terms = terms }

    func action(revision: Int, at now: Instant) -> Action {
        if posted == nil { return .post }
        if posted != revision, nextPosting.map({ $0 <= now }) ?? true { return .post }
        return renewal.map { $0 <= now } ?? false ? .renew : .nothing
    }

    mutating func posted(revision: Int, bytes: Int, at now: Instant) {
        posted = revision
        nextPosting = now.advanced(by: .seconds(Double(bytes) / Double(max(terms.bytesPerSecond, 1))))
        renewed(at: now)
    }

    mutating func renewed(at now: Instant) { renewal = now.advanced(by: terms.expiry / 3) }

    /// There is nothing on the board any more.
    mutating func lost() { posted = nil }
}
