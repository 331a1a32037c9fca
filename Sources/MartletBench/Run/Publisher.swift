// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing
import MartletSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Publishes events at a steady rate over one connection, each with an ``EventMark``.
///
/// Requests do not wait for earlier answers, so the rate does not depend on how long an answer takes. At most ``window``
/// requests are unanswered, and only one if the server closes the connection after each answer. An event that is late is
/// sent as soon as possible, and its mark has the actual time of sending.
struct Publisher: Sendable {
    /// The most unanswered events.
    static let window = 64
    /// The nanoseconds between attempts to connect.
    private static let retryInterval: UInt64 = 100_000_000

    let run: UInt32
    private(set) var record = PublishRecord()
    /// The first failure of the connection.
    private(set) var firstFailure: BenchError?
    private(set) var socket: StreamSocket?

    private let address: SocketAddress
    private let token: UInt64
    private let rate: Double
    private let head: [UInt8]
    private let padding: [UInt8]
    private var window = Self.window
    private var isConnecting = false
    private var connectAt: UInt64 = 0
    /// The time of the first event; `nil` while no event is due.
    private var start: UInt64?
    private var answers = AnswerScanner()
    /// Bytes that the system has not taken yet.
    private var output: ArraySlice<UInt8> = []

    /// - Parameters:
    ///   - run: The number of the run in the marks.
    ///   - token: The token of the socket in the poll.
    init(_ plan: BenchPlan.Publishing, to address: SocketAddress, run: UInt32, token: UInt64) {
        self.address = address
        self.run = run
        self.token = token
        rate = Double(plan.rate)
        let fields = [
            "POST \(plan.target.requestTarget) HTTP/1.1", "Host: \(plan.target.authority)",
            "Content-Length: \(plan.size)",
        ]
        let isTyped = plan.header.contains { $0.name.isExactlyIgnoringCase("Content-Type") }
        let type = isTyped ? [] : ["Content-Type: text/plain"]
        head = Array(
            (fields + type + plan.header.map { "\($0.name): \($0.value)" } + ["", ""]).joined(separator: "\r\n").utf8)
        padding = (0..<plan.size).map { UInt8(ascii: "a") + UInt8($0 % 26) }
    }

    /// The run of the marks, and the number of events sent.
    var published: BenchTally.Published { (run, record.sent) }

    /// Makes the first event due.
    mutating func begin(at time: UInt64) {
        start = time
    }

    /// Makes no further event due.
    mutating func end() {
        start = nil
    }

    /// When to call ``publish(on:)`` again; `nil` if something must arrive first.
    var wakeUp: UInt64? {
        guard start != nil, !isConnecting, output.isEmpty else { return nil }
        if socket == nil { return connectAt }
        return record.pending < window ? due : nil
    }

    private var due: UInt64? {
        start.map { $0 + UInt64(Double(record.sent) / rate * 1e9) }
    }

    /// Sends the events that are due, as far as the connection takes them.
    mutating func publish(on poll: EventPoll) {
        while let wakeUp, wakeUp <= MonotonicTime.now {
            if socket == nil {
                connect(on: poll)
            } else {
                var request = head
                let data = EventMark(run: run, sequence: record.sent, sentAt: MonotonicTime.now).text.utf8
                request += data
                request += padding[data.count...]
                record.send()
                output = request[...]
                flush()
            }
        }
    }

    /// Handles an event of the socket.
    mutating func handle(_ event: EventPoll.Event, buffer: inout [UInt8]) {
        guard let socket else { return }
        if isConnecting {
            let code = socket.connectError
            guard code == 0 else { return disconnect(.system("cannot connect", code: code)) }
            guard event.isWritable else { return }
            isConnecting = false
        } else if !output.isEmpty {
            flush()
        }
        receive(into: &buffer)
    }

    private mutating func connect(on poll: EventPoll) {
        connectAt = MonotonicTime.now + Self.retryInterval
        do throws(BenchError) {
            let socket = try StreamSocket(connectingTo: address)
            self.socket = socket
            isConnecting = true
            try poll.add(socket, token: token)
        } catch {
            disconnect(error)
        }
    }

    private mutating func disconnect(_ failure: BenchError?) {
        if let failure { firstFailure = firstFailure ?? failure }
        socket?.close()
        socket = nil
        isConnecting = false
        answers = AnswerScanner()
        output = []
        record.breakOff()
    }

    private mutating func flush() {
        guard let count = socket?.send(output) else { return disconnect(.system("cannot publish")) }
        output.removeFirst(count)
    }

    private mutating func receive(into buffer: inout [UInt8]) {
        while let socket {
            switch socket.receive(into: &buffer) {
            case .nothing:
                return
            case .bytes(let count):
                var position = 0
                while let item = answers.next(in: buffer.span.extracting(..<count), from: &position) {
                    guard take(item) else { return }
                }
            case .closed:
                if let item = answers.end() { _ = take(item) }
                // A server may close an idle connection at any time. It is a failure only if events are unanswered.
                disconnect(record.pending > 0 ? BenchError("the server closed the connection of the publisher") : nil)
            case .failed(let code):
                disconnect(.system("the connection of the publisher failed", code: code))
            }
        }
    }

    /// - Returns: Whether the connection stays open.
    private mutating func take(_ item: AnswerScanner.Item) -> Bool {
        switch item {
        case .answer(let status, let closes):
            record.answer(status: status)
            guard closes else { return true }
            window = 1
            connectAt = 0
            disconnect(nil)
        case .malformed(let malformation):
            disconnect(BenchError("publishing: \(malformation)"))
        }
        return false
    }
}
