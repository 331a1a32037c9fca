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
        rights = ExchangedRights(hub: hub, tickets: tickets, mostBytes: board.mostBytesSaid, forget: forget)
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
        var isAway = false
        while !Task.isCancelled, let words = try? await rights.nextWords() {
            do {
                try await channel.say(words.json)
                rights.wasSaid(words.number)
                if isAway { logger.notice("The other nodes are told again what is done here.") }
                isAway = false
            } catch let error as MartletError where error.code == .tooLarge {
                logger.error("The other nodes cannot be told of something.", metadata: ["error": "\(error)"])
                rights.wasSaid(words.number)
            } catch {
                if !isAway, !Task.isCancelled {
                    logger.warning(
                        "The other nodes cannot be told what is done here; trying again.",
                        metadata: ["error": "\(error)"])
                }
                isAway = true
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
    /// - Returns: The JSON of the answer; `nil` if no other node has the stream.
    /// - Throws: ``Problem`` if the node of the stream refuses; 503 if a node does not answer in time.
    func change(_ change: TopicChange, for grant: Grant) async throws -> String? {
        try await rights.ask(for: change, SharedGrant(grant))
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
        var questions = SecondBudget(most: mostAskedPerSecond)
    }

    /// The most actions that wait to be told. If the board is away for longer, the others miss the oldest.
    static let mostActions = 10_000
    /// How long other nodes may take to answer, and the most questions that wait for that.
    static let answerTime = Duration.seconds(5)
    static let mostQuestions = 1000
    /// Every client may ask, and each question is written to what the nodes share. So its bytes are bounded, and how many
    /// questions there are in a second.
    static let mostAskedBytes = 16 * 1024
    static let mostAskedPerSecond = 100
    /// The most nodes, also of those that are gone, of which it is remembered what they have told.
    private static let mostNodes = 10_000

    let node = NodeName()
    private let hub: Hub
    private let tickets: Tickets
    /// The most that can be said at once.
    private let mostBytes: Int
    private let forget: @Sendable (String) -> Void
    private let state = Mutex(State())
    private let told = Signal()
    private let answered = Signal()

    init(hub: Hub, tickets: Tickets, mostBytes: Int = .max, forget: @escaping @Sendable (String) -> Void) {
        self.hub = hub
        self.tickets = tickets
        self.mostBytes = mostBytes
        self.forget = forget
    }

    var otherNodes: Int { state.withLock { $0.others } }

    // MARK: Speaking

    /// - Returns: The number of the action; `nil` if it has more bytes than can be said.
    @discardableResult
    func tell(_ action: Action, atMost mostBytes: Int = .max) -> Int? {
        let number: Int? = state.withLock { state in
            let words = Words(node: node.text, number: state.count + 1, action: action)
            // Of such types, encoding cannot fail.
            guard let json = try? JSONEncoder().encode(words), json.count <= mostBytes else { return nil }
            state.count += 1
            state.words.append((words.number, Array(json)))
            if state.words.count > Self.mostActions { state.words.removeFirst() }
            return words.number
        }
        told.fire()
        return number
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
            hub.renew(name, shared.grant(), judged: shared.time())
        case .change(let change, let shared, let question):
            // Nobody waits for the answer any more, and other changes may have followed.
            guard shared.age() < Self.answerTime + SharedGrant.clockDifference else { return }
            Task {
                let answer = await change.answer(of: hub, for: shared.grant())
                if tell(.answer(answer, question: question), atMost: mostBytes) == nil {
                    tell(.answer(answer.shortened, question: question))
                }
            }
        case .answer(let answer, let question):
            state.withLock { $0.answers[question]?.append(answer) }
            answered.fire()
        }
    }

    /// Asks all other nodes for a change, one of which may have the stream.
    func ask(for change: TopicChange, _ grant: SharedGrant) async throws -> String? {
        guard change.hasPossibleName else { return nil }
        let question = String.randomName()
        let (others, mayAsk) = state.withLock { state in
            guard state.others > 0 else { return (0, false) }
            let mayAsk = state.answers.count < Self.mostQuestions && state.questions.spend(now: .now)
            if mayAsk { state.answers[question] = [] }
            return (state.others, mayAsk)
        }
        guard others > 0 else { return nil }
        guard mayAsk else { throw Self.later("Too many changes of streams on other nodes wait. Try again.") }
        defer { state.withLock { $0.answers[question] = nil } }
        let action = Action.change(change, grant, question: question)
        guard let number = tell(action, atMost: min(mostBytes, Self.mostAskedBytes)) else {
            throw Problem(
                .contentTooLarge,
                "The stream may be on another node, and these are too many topics for that. Make several changes.",
                field: "add")
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
            // If the others were not asked yet, they are not asked any more.
            state.withLock { state in state.words.removeAll { $0.number == number } }
            throw Self.later("Not all nodes have answered in time, and one of them may have the stream. Try again.")
        }
    }

    private static func later(_ detail: String) -> Problem {
        Problem(.serviceUnavailable, detail, headers: [.retryAfter: "1"])
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
    func renew(
        _ name: String, _ grant: Grant, judged: ContinuousClock.Instant = .now
    ) -> (renewed: Int, ended: Int) {
        guard let principal = grant.principal else { return (0, 0) }
        return renew(
            principal, name: name, grants: grant.subscribe, until: grant.instantOfEnd, judged: judged,
            isGranted: { (try? grant.checkSubscribing(to: $0)) != nil })
    }
}
