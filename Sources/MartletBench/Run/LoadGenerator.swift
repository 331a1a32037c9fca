// SPDX-License-Identifier: Apache-2.0

import Histogram
import MartletOutgoing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A run: one thread that subscribes, publishes and measures.
///
/// The phases are: connect all subscribers, settle, publish to warm up, measure, and wait for events that have not arrived.
/// Loss, duplicates and order are those of all phases; rates and processor time are those of measuring. A latency begins
/// just before an event is written to its socket, and ends when its bytes are read from a socket. So it includes the time
/// that the generator spends on other subscribers.
package struct LoadGenerator {
    private static let publisherToken = UInt64.max - 1
    /// The longest time from opening a connection to its answer.
    private static let connectTimeout = Duration.seconds(10)
    /// The most milliseconds between two looks at interruption and progress.
    private static let longestWait = 50

    private let plan: BenchPlan
    private let address: SocketAddress
    private let request: [UInt8]
    private let isInterrupted: () -> Bool
    private let progress: (_ text: () -> String) -> Void
    private let poll: EventPoll
    private var publisher: Publisher?
    private var subscribers: [Subscriber]
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)
    private var memo = ScanMemo()
    private var tally = BenchTally()

    /// - Parameters:
    ///   - progress: Called many times a second, with what the run is doing.
    ///   - isInterrupted: Whether to end early; called several times a second.
    /// - Throws: ``BenchError`` if a server cannot be reached, or this system has no epoll.
    package init(
        _ plan: BenchPlan,
        progress: @escaping (_ text: () -> String) -> Void = { _ in },
        isInterrupted: @escaping () -> Bool = { false }
    ) throws(BenchError) {
        poll = try EventPoll()
        address = try .reachable(plan.target)
        if let publishing = plan.publishing {
            let run = UInt32.random(in: .min ... .max)
            publisher = Publisher(
                publishing, to: try .reachable(publishing.target), run: run, token: Self.publisherToken)
        } else {
            publisher = nil
        }
        self.plan = plan
        self.progress = progress
        self.isInterrupted = isInterrupted
        let fields = [
            "GET \(plan.target.requestTarget) HTTP/1.1", "Host: \(plan.target.authority)",
            "Accept: text/event-stream", "Accept-Encoding: identity", "Cache-Control: no-cache",
        ]
        request = Array(
            (fields + plan.header.map { "\($0.name): \($0.value)" } + ["", ""]).joined(separator: "\r\n").utf8)
        subscribers = Array(repeating: Subscriber(), count: plan.subscribers)
    }

    /// Runs all phases and closes all connections. Call it once.
    ///
    /// - Throws: ``BenchError`` if no subscriber could connect.
    package mutating func run() throws(BenchError) -> BenchReport {
        // Writing to a connection that the server has closed must fail, and not end the process.
        signal(SIGPIPE, SIG_IGN)
        defer {
            for subscriber in subscribers { subscriber.socket?.close() }
            publisher?.socket?.close()
        }

        let before = usage
        let connectStart = MonotonicTime.now
        connect()
        guard tally.connected > 0 else {
            let reason = tally.firstFailure ?? "interrupted"
            throw BenchError("no subscriber could connect to \(plan.target.text): \(reason)")
        }
        let connectSeconds = Double(tally.lastConnected - connectStart) / 1e9
        pass(plan.settle, "settling")
        let settled = usage

        publisher?.begin(at: MonotonicTime.now)
        if publisher != nil { pass(plan.warmUp, "warming up") }
        let measurement = measure()
        drain()

        return BenchReport(
            plan: plan,
            tally: tally,
            connectSeconds: connectSeconds,
            measurement: measurement,
            record: publisher?.record,
            publishFailure: publisher?.firstFailure,
            lost: publisher.map { _ in lost },
            memory: before.flatMap { before in settled.map { (before.residentBytes, $0.residentBytes) } },
            wasInterrupted: isInterrupted()
        )
    }

    private var usage: ProcessUsage? {
        plan.serverProcess.flatMap { ProcessUsage(process: $0) }
    }

    /// The number of missing deliveries of accepted events.
    private var lost: Int {
        guard let record = publisher?.record else { return 0 }
        return subscribers.reduce(0) { sum, subscriber in
            switch subscriber.state {
            case .open: sum + subscriber.ledger.missing(of: record.sent, except: record.notAccepted)
            case .closed: sum + subscriber.ledger.missing(of: nil, except: record.notAccepted)
            default: sum
            }
        }
    }

    // MARK: Phases

    private mutating func connect() {
        let start = MonotonicTime.now
        var opened = 0
        var deadline = UInt64.max
        while tally.connected + tally.failed < subscribers.count, !isInterrupted() {
            let now = MonotonicTime.now
            if now >= deadline { break }
            let due = Double(now - start) / 1e9 * Double(plan.connectRate)
            while opened < subscribers.count, Double(opened) <= due {
                open(opened)
                opened += 1
                deadline = now + Self.connectTimeout.nanoseconds
            }
            progress { "connecting: \(tally.connected) of \(subscribers.count)" }
            turn(until: opened < subscribers.count ? now + 1_000_000 : deadline)
        }
        let seconds = Self.connectTimeout.components.seconds
        let reason = isInterrupted() ? "interrupted" : "no answer within \(seconds) s"
        for index in subscribers.indices where ![.open, .failed, .closed].contains(subscribers[index].state) {
            end(index, reason)
        }
    }

    private mutating func pass(_ duration: Duration, _ name: String) {
        let end = MonotonicTime.now + duration.nanoseconds
        while MonotonicTime.now < end, !isInterrupted() {
            progress { "\(name): \(tally.connected - tally.closed) subscribers" }
            turn(until: end)
        }
    }

    private mutating func measure() -> BenchReport.Measurement {
        let serverStart = usage
        let ownStart = MonotonicTime.processorTime
        let acceptedStart = publisher?.record.accepted ?? 0
        let start = MonotonicTime.now
        tally.beginMeasuring(at: start)
        let end = start + plan.duration.nanoseconds
        while MonotonicTime.now < end, !isInterrupted() {
            progress { measuringText(since: start) }
            turn(until: end)
        }
        let now = MonotonicTime.now
        tally.endMeasuring(at: now)
        let ownEnd = MonotonicTime.processorTime
        let serverEnd = usage
        return BenchReport.Measurement(
            seconds: Double(now - start) / 1e9,
            ownSeconds: Double(ownEnd - ownStart) / 1e9,
            server: serverStart.flatMap { start in serverEnd.map { (start, $0) } },
            accepted: (publisher?.record.accepted ?? 0) - acceptedStart
        )
    }

    private func measuringText(since start: UInt64) -> String {
        let seconds = Double(MonotonicTime.now - start) / 1e9
        let rate = seconds > 0 ? Int(Double(tally.deliveries) / seconds) : 0
        let p99 = Double(tally.latency.valueAtPercentile(99)) / 1000
        let latency = tally.latency.totalCount > 0 ? ", p99 \(BenchReport.time(p99))" : ""
        return "measuring: \(seconds.fixed(0)) of \(plan.duration.components.seconds) s, \(rate) deliveries/s\(latency)"
    }

    /// Waits until all events are answered and received, or the time for this is over.
    private mutating func drain() {
        publisher?.end()
        guard publisher != nil else { return }
        let end = MonotonicTime.now + plan.drain.nanoseconds
        while MonotonicTime.now < end {
            let missing = lost
            if missing == 0, publisher?.record.pending == 0 { break }
            progress { "waiting for \(missing) deliveries" }
            // Counting takes a while, so let more events arrive between two counts.
            let next = min(MonotonicTime.now + 10_000_000, end)
            while MonotonicTime.now < next { turn(until: next) }
        }
    }

    // MARK: Sockets

    /// Publishes what is due, then waits for sockets until the next event is due or the deadline, and handles them.
    private mutating func turn(until deadline: UInt64) {
        publisher?.publish(on: poll)
        let now = MonotonicTime.now
        let wakeUp = min(deadline, publisher?.wakeUp ?? deadline)
        // Rounded up: after the wait, the time has come.
        let left = wakeUp > now ? min((wakeUp - now - 1) / 1_000_000 + 1, UInt64(Self.longestWait)) : 0
        for index in 0..<poll.wait(milliseconds: Int(left)) {
            let event = poll.event(index)
            if event.token == Self.publisherToken {
                publisher?.handle(event, buffer: &buffer)
            } else {
                handle(event, of: Int(event.token))
            }
        }
    }

    private mutating func open(_ index: Int) {
        do throws(BenchError) {
            let socket = try StreamSocket(connectingTo: address)
            subscribers[index].socket = socket
            subscribers[index].state = .connecting
            try poll.add(socket, token: UInt64(index))
        } catch {
            end(index, error.description)
        }
    }

    private mutating func handle(_ event: EventPoll.Event, of index: Int) {
        guard let socket = subscribers[index].socket else { return }
        if subscribers[index].state == .connecting {
            let code = socket.connectError
            guard code == 0 else { return end(index, BenchError.system("cannot connect", code: code).description) }
            guard event.isWritable else { return }
            guard socket.send(request[...]) == request.count else { return end(index, "cannot send the request") }
            subscribers[index].state = .asking
        }
        receive(index, from: socket, untilClosed: event.isClosed)
    }

    private mutating func receive(_ index: Int, from socket: StreamSocket, untilClosed: Bool) {
        while subscribers[index].socket != nil {
            switch socket.receive(into: &buffer) {
            case .nothing:
                return
            case .bytes(let count):
                take(count, for: index)
                // A buffer that is not full has all bytes, and the poll reports the next ones.
                if count < buffer.count, !untilClosed { return }
            case .closed:
                end(index, "the server closed the connection")
            case .failed(let code):
                end(index, BenchError.system("the connection failed", code: code).description)
            }
        }
    }

    /// Handles the first bytes of the buffer, which a subscriber has received.
    private mutating func take(_ count: Int, for index: Int) {
        let now = MonotonicTime.now
        if tally.isMeasuring { tally.bytes += count }
        if memo.scans(buffer, count, with: &subscribers[index].scanner) {
            for mark in memo.marks {
                tally.receive(mark, at: now, published: publisher?.published, ledger: &subscribers[index].ledger)
            }
            return
        }
        let before = subscribers[index].scanner
        var marks: [MarkScanner.Mark] = []
        var isMemorable = true
        var position = 0
        var end: String?
        // A reference to the bytes, not a copy: `self` changes while they are read.
        let received = buffer
        while let item = subscribers[index].scanner.next(in: received.span.extracting(..<count), from: &position) {
            switch item {
            case .event(let mark):
                marks.append(mark)
                tally.receive(mark, at: now, published: publisher?.published, ledger: &subscribers[index].ledger)
            case .accepted:
                isMemorable = false
                subscribers[index].state = .open
                tally.connected += 1
                tally.lastConnected = now
            case .rejected(let reason): end = "the answer \(reason)"
            case .ended: end = "the server ended the stream"
            case .malformed(let malformation): end = malformation.description
            }
        }
        if let end {
            self.end(index, end)
        } else if isMemorable {
            memo.remember(buffer, count, before: before, after: subscribers[index].scanner, marks: marks)
        }
    }

    /// Ends a subscriber: an open one is closed, any other has failed.
    private mutating func end(_ index: Int, _ reason: String) {
        subscribers[index].socket?.close()
        subscribers[index].socket = nil
        if subscribers[index].state == .open {
            subscribers[index].state = .closed
            tally.closed += 1
        } else {
            subscribers[index].state = .failed
            tally.failed += 1
        }
        tally.firstFailure = tally.firstFailure ?? reason
    }
}

/// One subscriber: its connection, its place in the stream, and the events that it has received.
struct Subscriber: Sendable {
    enum State: Equatable, Sendable {
        case unconnected
        case connecting
        /// The request is sent.
        case asking
        /// Receives events.
        case open
        /// Failed before it received a stream.
        case failed
        /// The server has ended the stream.
        case closed
    }

    var state = State.unconnected
    var socket: StreamSocket?
    var scanner = SubscriberScanner()
    var ledger = SequenceLedger()
}
