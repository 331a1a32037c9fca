// SPDX-License-Identifier: Apache-2.0

import DequeModule
import NIOCore
import Synchronization

/// Writes to the streams of one event loop whose bytes have to pass a channel: TLS, HTTP/2, and platforms other than Linux.
///
/// The loop is woken once for each group of published events. Events that are published while a pass runs go out with the
/// next pass.
final class ChannelShard: Shard {
    typealias Change = (inout Sinks<ChannelTransport>, ContinuousClock.Instant) -> Void

    private struct Mailbox {
        var mail = ShardMail()
        var isScheduled = false
    }

    /// What only the event loop touches.
    private final class State {
        var sinks: Sinks<ChannelTransport>
        var isChanging = false
        /// What channels did while the sinks were changing.
        var changes: Deque<Change> = []
        /// Wakes the loop when a time has come.
        var timer: (task: Scheduled<Void>, due: ContinuousClock.Instant)?

        init(_ sinks: Sinks<ChannelTransport>) { self.sinks = sinks }
    }

    let fanOut: FanOut
    private let eventLoop: any EventLoop
    private let mailbox = Mutex(Mailbox())
    private let state: NIOLoopBoundBox<State?>
    /// The same moment on the clock of the loop and on the clock of times.
    private let start: (onLoop: NIODeadline, time: ContinuousClock.Instant)

    /// How long the loop does other things between two passes, so that a busy hub still accepts and reads.
    private static let pause = TimeAmount.microseconds(50)

    /// Made on the event loop.
    init(fanOut: FanOut, eventLoop: any EventLoop) {
        self.fanOut = fanOut
        self.eventLoop = eventLoop
        start = (eventLoop.now, .now)
        state = NIOLoopBoundBox.makeEmptyBox(valueType: State.self, eventLoop: eventLoop)
    }

    // MARK: From any thread

    func feedsGrew(_ feeds: [FeedID]) { leave { $0.grown += feeds } }

    func drain() { leave { $0.isDraining = true } }

    private func leave(_ change: (inout ShardMail) -> Void) {
        let isFirst = mailbox.withLock { mailbox in
            change(&mailbox.mail)
            defer { mailbox.isScheduled = true }
            return !mailbox.isScheduled
        }
        if isFirst { eventLoop.execute { self.pass() } }
    }

    // MARK: On the event loop

    func add(_ subscription: Subscription, to sink: ChannelSink, framing: Framing) {
        fanOut.streamOpened()
        change { sinks, now in
            let token = sinks.add(
                subscription, socket: sinks.transport.open(sink), framing: framing, now: now
            ) { token in self.leave { $0.changedLeases.append(token) } }
            sink.token = token
            sinks.resume(token, now: now)
        }
    }

    /// A channel takes bytes again, or takes none any more.
    func writabilityChanged(of sink: ChannelSink, to isWritable: Bool) {
        change { sinks, now in
            guard let token = sink.token else { return }
            if isWritable { sinks.resume(token, now: now) } else { sinks.stall(token, now: now) }
        }
    }

    /// A channel is gone.
    func remove(_ sink: ChannelSink) {
        change { sinks, _ in
            if let token = sink.token { sinks.remove(token) }
        }
    }

    /// Changes the sinks, which may close channels or fill them. What channels report of that comes afterwards.
    private func change(_ change: @escaping Change) {
        let state = loopState()
        state.changes.append(change)
        guard !state.isChanging else { return }
        state.isChanging = true
        while let change = state.changes.popFirst() { change(&state.sinks, now) }
        state.isChanging = false
        state.sinks.reportTally()
        if state.sinks.isBusy { leave { _ in } }
        setTimer(state)
    }

    private func pass() {
        var mail = mailbox.withLock { mailbox in
            defer { mailbox.mail = ShardMail() }
            return mailbox.mail
        }
        change { sinks, now in sinks.pass(&mail, now: now) }
        let isBusy = loopState().sinks.isBusy
        let goesOn = mailbox.withLock { mailbox in
            mailbox.isScheduled = isBusy || !mailbox.mail.isEmpty
            return mailbox.isScheduled
        }
        if goesOn { eventLoop.scheduleTask(in: Self.pause) { self.pass() } }
    }

    private func loopState() -> State {
        if let state = state.value { return state }
        let sinks = Sinks(fanOut: fanOut, start: now, listener: self, transport: ChannelTransport()) { request, token in
            self.fanOut.replayer.read(request) { result in self.leave { $0.slices.append((token, result)) } }
        }
        let made = State(sinks)
        state.value = made
        return made
    }

    // MARK: Time

    private var now: ContinuousClock.Instant { start.time + Duration(eventLoop.now - start.onLoop) }

    private func setTimer(_ state: State) {
        guard state.sinks.count > 0 else {
            state.timer?.task.cancel()
            state.timer = nil
            return
        }
        let due = state.sinks.nextTime
        if let timer = state.timer {
            guard due < timer.due else { return }
            timer.task.cancel()
        }
        let task = eventLoop.scheduleTask(in: TimeAmount(due - now)) {
            self.loopState().timer = nil
            self.pass()
        }
        state.timer = (task, due)
    }
}

/// The channels of a shard, each with a number as if it were a socket.
struct ChannelTransport: Transport {
    static let hasOwnSockets = false

    private var sinks: [ChannelSink?] = []
    private var free: [Int32] = []

    mutating func open(_ sink: ChannelSink) -> Int32 {
        let number = free.popLast() ?? Int32(sinks.count)
        if number == sinks.count { sinks.append(sink) } else { sinks[Int(number)] = sink }
        return number
    }

    func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> SendResult {
        sinks[Int(socket)]?.send(bytes) ?? .broken
    }

    /// The channel drops what its client sends.
    func discardInput(of socket: Int32) -> Bool { true }

    /// Channels always say it.
    func watchWriting(_ socket: Int32, _ token: SinkToken) {}

    func finish(_ socket: Int32) { sinks[Int(socket)]?.finish() }

    mutating func close(_ socket: Int32) {
        sinks[Int(socket)]?.close()
        sinks[Int(socket)] = nil
        free.append(socket)
    }
}
