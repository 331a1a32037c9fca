// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Foundation
import HTTPTypes
public import Logging
public import Martlet
import MartletSupport
public import ServiceLifecycle
import Synchronization

/// Has revocations, renewals and changes of topics reach the streams on all nodes of a hub that share a board.
///
///     let rights = RightsExchange(of: hub, on: board, tickets: tickets)
///     router.addHub(hub, access: access.accepting(tickets), exchange: rights)
///         .addStreamControl(of: hub, access: access, tickets: tickets, exchange: rights)
///
/// The others learn of them after at most two ``/Martlet/ExchangeConfiguration/interval``s. While the board is away, they
/// learn of them when it is back. A node acts on nothing that was done before it began, by the clocks of the nodes, which may
/// differ by a second.
public final class RightsExchange: Service {
    private let rights: ExchangedRights
    private let exchange: NodeExchange

    /// How often nodes look for news of others, where nothing else is set.
    public static let defaultInterval = Duration.milliseconds(500)

    /// - Parameters:
    ///   - hub: The hub of this node.
    ///   - board: The board that all nodes share, which is for this alone.
    ///   - tickets: The tickets of this node, which are revoked, too.
    ///   - configuration: Bounds and times; `nil`: the usual ones.
    ///   - clock: Measures the times.
    ///   - logger: Logs that the board is away, and that it is back.
    ///   - forget: Forgets cached rights of a principal that another node has revoked.
    public init(
        of hub: Hub, on board: any NodeBoard, tickets: Tickets, configuration: ExchangeConfiguration? = nil,
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "martlet"),
        onRevocation forget: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        var usual = ExchangeConfiguration()
        usual.interval = Self.defaultInterval
        rights = ExchangedRights(hub: hub, tickets: tickets, forget: forget)
        exchange = NodeExchange(
            of: rights, on: board, .init("Revocations and renewals", "revocations"),
            configuration: configuration ?? usual,
            forgetsWhileAway: false, clock: clock, logger: logger)
    }

    /// Posts and reads until the task is cancelled or the service group shuts down. Call it once, and shut it down after the
    /// server.
    public func run() async throws {
        try? await cancelWhenGracefulShutdown { try await self.exchange.run() }
        // The posting expires: others may not have read it yet.
    }

    /// How many other nodes there were when the board answered last.
    var otherNodes: Int { rights.otherNodes }

    func revoke(_ principal: String) { rights.tell(.revoke(principal)) }

    func renew(_ name: String, _ grant: Grant) { rights.tell(.renew(name, SharedGrant(grant))) }

    /// Has the node of a stream change its topics.
    ///
    /// - Returns: The JSON of the answer; `nil` if no other node has the stream, or none has answered in time.
    /// - Throws: ``Problem`` if the node of the stream refuses.
    func change(_ change: TopicChange, for grant: Grant) async throws -> String? {
        try await rights.ask(for: change, SharedGrant(grant))
    }
}

/// What was done on this node, for the others.
final class ExchangedRights: NodeExchangeState {
    enum Action: Codable, Sendable {
        case revoke(String)
        case renew(String, SharedGrant)
        /// Asks the node that has a stream to change it.
        case change(TopicChange, SharedGrant, question: String)
        /// Each node answers.
        case answer(TopicChange.Answer, question: String)

        /// Whether it is of no use once some time has passed.
        var isFleeting: Bool {
            switch self {
            case .revoke, .renew: false
            case .change, .answer: true
            }
        }
    }

    private struct Entry: Codable, Sendable {
        /// Counted by the node, from one.
        var number: Int
        /// When it was done: milliseconds since 1970, by the clock of the node.
        var time: Int64
        var action: Action
    }

    /// An entry as JSON.
    private struct Written {
        var number: Int
        var time: Int64
        var json: [UInt8]
    }

    private struct State {
        /// The last that were done here.
        var own: Deque<Written> = []
        /// Those that are fleeting.
        var fleeting: Deque<Written> = []
        var count = 0
        /// The number of the last action of each other node that was taken.
        var seen: [NodeName: Int] = [:]
        var others = 0
        /// What the other nodes have answered.
        var answers: [String: [TopicChange.Answer]] = [:]
    }

    /// The most actions that are told. A node that was away from the board for longer misses older ones.
    static let mostActions = 10_000
    /// How long other nodes may take to answer, and the most questions that wait for that.
    static let answerTime = Duration.seconds(5)
    static let mostQuestions = 1000
    /// How much the clocks of nodes may differ.
    private static let clockDifference = Duration.seconds(1)
    /// The most nodes, also of those that are gone, of which it is remembered what they have told.
    private static let mostNodes = 10_000

    let node = NodeName()
    private let hub: Hub
    private let tickets: Tickets
    private let forget: @Sendable (String) -> Void
    private let state = Mutex(State())
    private let answered = Signal()
    /// What was done before is not about streams of this node.
    private let start = WallTime.now.milliseconds - ExchangedRights.clockDifference.wholeMilliseconds

    init(hub: Hub, tickets: Tickets, forget: @escaping @Sendable (String) -> Void) {
        self.hub = hub
        self.tickets = tickets
        self.forget = forget
    }

    var otherNodes: Int { state.withLock { $0.others } }
    var revision: Int { state.withLock { $0.count } }

    func tell(_ action: Action) {
        let now = WallTime.now.milliseconds
        let outdated = now - Self.answerTime.wholeMilliseconds
        state.withLock { state in
            state.count += 1
            // Of such types, encoding cannot fail.
            let entry = Entry(number: state.count, time: now, action: action)
            guard let json = try? JSONEncoder().encode(entry) else { return }
            let written = Written(number: entry.number, time: now, json: Array(json))
            if action.isFleeting { state.fleeting.append(written) } else { state.own.append(written) }
            if state.own.count > Self.mostActions { state.own.removeFirst() }
            while let first = state.fleeting.first, first.time < outdated || state.fleeting.count > Self.mostActions {
                state.fleeting.removeFirst()
            }
        }
    }

    func posting(atMost bytes: Int) -> (bytes: [UInt8], revision: Int, entries: Int, omitted: Int) {
        let (all, revision) = state.withLock { (Array($0.own) + Array($0.fleeting), $0.count) }
        let own = all.sorted { $0.number < $1.number }
        var size = 2
        let newest = own.reversed().prefix { entry in
            size += entry.json.count + 1
            return size <= bytes
        }
        let list = newest.reversed().map(\.json).joined(separator: [UInt8(ascii: ",")])
        return (Array("[".utf8) + list + Array("]".utf8), revision, own.count, own.count - newest.count)
    }

    func replace(_ node: NodeName, with bytes: [UInt8]?) async throws {
        // One that comes back under its name goes on counting.
        guard let bytes else { return }
        let entries = try JSONDecoder().decode([Entry].self, from: Data(bytes))
        let new = state.withLock { state in
            let seen = state.seen[node]
            if state.seen.count >= Self.mostNodes, seen == nil { state.seen = [:] }
            state.seen[node] = max(seen ?? 0, entries.last?.number ?? 0)
            guard let seen else { return entries.filter { $0.time >= start } }
            return entries.filter { $0.number > seen }
        }
        for entry in new { take(entry.action) }
    }

    private func take(_ action: Action) {
        switch action {
        case .revoke(let principal):
            tickets.revoke(principal)
            forget(principal)
            hub.revoke(principal)
        case .renew(let name, let shared):
            hub.renew(name, shared.grant())
        case .change(let change, let shared, let question):
            Task { tell(.answer(await change.answer(of: hub, for: shared.grant()), question: question)) }
        case .answer(let answer, let question):
            state.withLock { $0.answers[question]?.append(answer) }
            answered.fire()
        }
    }

    /// Asks all other nodes for a change, one of which may have the stream.
    func ask(for change: TopicChange, _ grant: SharedGrant) async throws -> String? {
        let question = String.randomName()
        let (others, hasRoom) = state.withLock { state in
            let hasRoom = state.answers.count < Self.mostQuestions
            if hasRoom, state.others > 0 { state.answers[question] = [] }
            return (state.others, hasRoom)
        }
        guard others > 0 else { return nil }
        guard hasRoom else {
            throw Problem(
                .serviceUnavailable, "Too many changes of streams on other nodes wait. Try again.",
                headers: [.retryAfter: "1"])
        }
        defer { state.withLock { $0.answers[question] = nil } }
        tell(.change(change, grant, question: question))
        do {
            return try await withTimeout(Self.answerTime, throwing: Problem(.notFound, "")) { [self] in
                try await answered.wait {
                    let answers = state.withLock { $0.answers[question] ?? [] }
                    for case .found(let result) in answers { return Optional(try result.json) }
                    return answers.count >= others ? .some(nil) : nil
                }
            }
        } catch let problem as Problem where problem.detail.isEmpty {
            return nil
        }
    }

    func roundEnded(with others: [NodeName], isAway: Bool) {
        state.withLock { $0.others = others.count }
    }
}

extension Hub {
    /// Renews the streams of the principal of a grant, on this node.
    @discardableResult
    func renew(_ name: String, _ grant: Grant) -> (renewed: Int, ended: Int) {
        guard let principal = grant.principal else { return (0, 0) }
        return renew(
            principal, name: name, grants: grant.subscribe, until: grant.instantOfEnd,
            isGranted: { (try? grant.checkSubscribing(to: $0)) != nil })
    }
}
