// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Foundation
import HTTPTypes
public import Logging
public import Martlet
import MartletSupport
public import ServiceLifecycle
import Synchronization

/// Has revocations, renewals and changes of topics reach the streams on all nodes of a hub.
///
///     let rights = RightsExchange(of: hub, on: board, tickets: tickets)
///     router.addHub(hub, access: access.accepting(tickets), exchange: rights)
///         .addStreamControl(of: hub, access: access, tickets: tickets, exchange: rights)
///
/// The others learn of them at once, or after ``interval`` where they have to look. While what the nodes share is away, they
/// learn of them when it is back.
public final class RightsExchange: Service {
    /// How often nodes look for what others have done, where they have to look.
    public static let interval = Duration.milliseconds(500)

    private let rights: ExchangedRights
    private let presence: NodeExchange
    private let channel: any NodeChannel
    private let logger: Logger

    /// - Parameters:
    ///   - hub: The hub of this node.
    ///   - board: What all nodes share, which is for this alone.
    ///   - tickets: The tickets of this node, which are revoked, too.
    ///   - configuration: Bounds and times of knowing the other nodes.
    ///   - clock: Measures these times.
    ///   - logger: Logs that the board is away, and that it is back.
    ///   - forget: Forgets cached rights of a principal that another node has revoked.
    public init(
        of hub: Hub, on board: any NodeBoard & NodeChannel, tickets: Tickets,
        configuration: ExchangeConfiguration = ExchangeConfiguration(),
        clock: any Clock<Duration> = ContinuousClock(), logger: Logger = Logger(label: "martlet"),
        onRevocation forget: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        rights = ExchangedRights(hub: hub, tickets: tickets, forget: forget)
        channel = board
        self.logger = logger
        presence = NodeExchange(
            of: rights, on: board, .init("Revocations and renewals", "nodes"), configuration: configuration,
            forgetsWhileAway: false, clock: clock, logger: logger)
    }

    /// Speaks and listens until the task is cancelled or the service group shuts down. Call it once, and shut it down after
    /// the server.
    public func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            await withTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try? await self.presence.run() }
                tasks.addTask { await self.listen() }
                tasks.addTask { await self.speak() }
            }
        }
        for words in rights.waitingWords {
            do { try await channel.say(words) } catch { break }
        }
        await presence.leave()
    }

    private func listen() async {
        while !Task.isCancelled {
            do {
                for bytes in try await channel.hear(within: Self.interval) {
                    if !rights.take(bytes) {
                        logger.warning(
                            "What a node has said cannot be read. Check that all nodes run the same version.")
                    }
                }
            } catch {
                // The presence of the nodes says that the board is away.
                try? await Task.sleep(for: Self.interval)
            }
        }
    }

    private func speak() async {
        while let words = try? await rights.nextWords() {
            do {
                try await channel.say(words.json)
                rights.wasSaid(words.number)
            } catch let error as MartletError where error.code == .tooLarge {
                logger.error("The other nodes cannot be told of something.", metadata: ["error": "\(error)"])
                rights.wasSaid(words.number)
            } catch {
                // Said again when the board is back.
                try? await Task.sleep(for: Self.interval)
            }
        }
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
        try await rights.ask(for: change, SharedGrant(grant), atMost: channel.mostBytesSaid)
    }
}

/// What was done on this node, for the others, and what this node does of what they say.
final class ExchangedRights: Sendable {
    enum Action: Codable, Sendable {
        case revoke(String)
        case renew(String, SharedGrant)
        /// Asks the node that has a stream to change it.
        case change(TopicChange, SharedGrant, question: String)
        /// Each node answers.
        case answer(TopicChange.Answer, question: String)
    }

    private struct Words: Codable, Sendable {
        var node: String
        /// Counted by the node, from one: what is said twice is done once.
        var number: Int
        var action: Action
    }

    private struct State {
        /// What is still to be said, as JSON, with its numbers.
        var words: Deque<(number: Int, json: [UInt8])> = []
        var count = 0
        /// The number of the last action of each other node that was taken.
        var seen: [String: Int] = [:]
        var others = 0
        /// What the other nodes have answered.
        var answers: [String: [TopicChange.Answer]] = [:]
    }

    /// The most actions that wait to be told. If the board is away for longer, the others miss the oldest.
    static let mostActions = 10_000
    /// How long other nodes may take to answer, and the most questions that wait for that.
    static let answerTime = Duration.seconds(5)
    static let mostQuestions = 1000
    /// The most nodes, also of those that are gone, of which it is remembered what they have told.
    private static let mostNodes = 10_000

    let node = NodeName()
    private let hub: Hub
    private let tickets: Tickets
    private let forget: @Sendable (String) -> Void
    private let state = Mutex(State())
    private let told = Signal()
    private let answered = Signal()

    init(hub: Hub, tickets: Tickets, forget: @escaping @Sendable (String) -> Void) {
        self.hub = hub
        self.tickets = tickets
        self.forget = forget
    }

    var otherNodes: Int { state.withLock { $0.others } }

    // MARK: Speaking

    /// - Returns: whether that many bytes can be said.
    @discardableResult
    func tell(_ action: Action, atMost mostBytes: Int = .max) -> Bool {
        let hasRoom = state.withLock { state in
            let words = Words(node: node.text, number: state.count + 1, action: action)
            // Of such types, encoding cannot fail.
            guard let json = try? JSONEncoder().encode(words), json.count <= mostBytes else { return false }
            state.count += 1
            state.words.append((words.number, Array(json)))
            if state.words.count > Self.mostActions { state.words.removeFirst() }
            return true
        }
        told.fire()
        return hasRoom
    }

    /// What is to be said next. Suspends until there is something.
    func nextWords() async throws -> (number: Int, json: [UInt8]) {
        try await told.wait { state.withLock { $0.words.first } }
    }

    /// What still waits.
    var waitingWords: [[UInt8]] { state.withLock { $0.words.map(\.json) } }

    /// What ``nextWords()`` has returned was said.
    func wasSaid(_ number: Int) {
        state.withLock { state in
            if state.words.first?.number == number { state.words.removeFirst() }
        }
    }

    // MARK: Hearing

    /// Does what another node says. Returns whether it could be read.
    @discardableResult
    func take(_ bytes: [UInt8]) -> Bool {
        guard let words = try? JSONDecoder().decode(Words.self, from: Data(bytes)) else { return false }
        let isNew = state.withLock { state in
            if state.seen.count >= Self.mostNodes, state.seen[words.node] == nil { state.seen = [:] }
            guard words.number > state.seen[words.node] ?? 0 else { return false }
            state.seen[words.node] = words.number
            return true
        }
        if isNew { take(words.action) }
        return true
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
    func ask(for change: TopicChange, _ grant: SharedGrant, atMost mostBytes: Int) async throws -> String? {
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
        guard tell(.change(change, grant, question: question), atMost: mostBytes) else {
            throw Problem(.contentTooLarge, "These are too many topics for one change. Make several.", field: "add")
        }
        do {
            return try await withTimeout(Self.answerTime, throwing: Unanswered()) { [self] in
                try await answered.wait {
                    let answers = state.withLock { $0.answers[question] ?? [] }
                    for case .found(let result) in answers { return Optional(try result.json) }
                    return answers.count >= others ? .some(nil) : nil
                }
            }
        } catch is Unanswered {
            return nil
        }
    }

    private struct Unanswered: Error {}
}

/// Only that the node is there.
extension ExchangedRights: NodeExchangeState {
    var revision: Int { 0 }

    func posting(atMost bytes: Int) -> (bytes: [UInt8], revision: Int, entries: Int, omitted: Int) { ([], 0, 0, 0) }

    func replace(_ node: NodeName, with bytes: [UInt8]?) async throws {}

    func roundEnded(with others: [NodeName], isAway: Bool) { state.withLock { $0.others = others.count } }
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
