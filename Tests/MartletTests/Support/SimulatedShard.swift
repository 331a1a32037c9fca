// SPDX-License-Identifier: Apache-2.0

import Synchronization

@testable import Martlet

/// A shard without a thread and without sockets: the test says what happens when.
final class SimulatedShard {
    private final class Listener: FeedListener {
        let grown = Mutex<Set<FeedID>>([])
        func feedsGrew(_ feeds: [FeedID]) { grown.withLock { $0.formUnion(feeds) } }
    }

    private final class Answers: Sendable {
        typealias Answer = (token: SinkToken, result: Result<ReplaySlice, any Error>)
        let waiting = Mutex<[Answer]>([])
    }

    let network: FakeNetwork
    var sinks: Sinks<FakeTransport>
    var now = ContinuousClock.now
    /// How long it takes to send something.
    var sendTime = Duration.zero
    private let hub: Hub
    private let listener = Listener()
    private let answers = Answers()

    init(_ hub: Hub, seed: UInt64) {
        self.hub = hub
        network = FakeNetwork(seed: seed)
        sinks = Sinks(fanOut: hub.fanOut, listener: listener, transport: FakeTransport(network: network)) {
            [answers] request, token in
            hub.fanOut.replayer.read(request) { result in answers.waiting.withLock { $0.append((token, result)) } }
        }
    }

    func open(
        _ subscription: Subscription, framing: Framing
    ) -> (socket: Int32, token: SinkToken) {
        hub.fanOut.streamOpened(onOwnSocket: true)
        let socket = network.open()
        let token = sinks.add(subscription, socket: socket, framing: framing, now: now) { _ in }
        sinks.resume(token, now: now)
        return (socket, token)
    }

    /// Whether feeds have grown since the last pass.
    var hasGrown: Bool { listener.grown.withLock { !$0.isEmpty } }

    func takeAnswers() {
        for answer in answers.waiting.withLock({ waiting in
            defer { waiting = [] }
            return waiting
        }) {
            sinks.finishReading(answer.token, answer.result, now: now)
        }
    }

    /// What a shard does when it wakes up: answers of the log, one slice for each feed that has grown, and those whose turn
    /// it is.
    func pass() {
        takeAnswers()
        let grown = listener.grown.withLock { grown in
            defer { grown = [] }
            return grown
        }
        sinks.grow(Array(grown))
        let start = clock
        sinks.advancePending(now: now)
        sinks.takeTurns(liveSince: start) { clock }
    }

    private var clock: ContinuousClock.Instant { now + sendTime * network.sends.count }
}
