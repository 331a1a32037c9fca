// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import Martlet

// MARK: The network

/// Sockets whose clients are the test, and the poller that watches them. As epoll does, it reports a connection when
/// something has changed, all changes at once, and a listener for as long as connections wait.
private final class FakeDoorNetwork {
    struct Socket {
        /// What the client has sent and the door has not read.
        var input: [UInt8] = []
        /// Whether the client sends nothing more.
        var hasEnded = false
        var isBroken = false
        /// What the client was sent.
        var received: [UInt8] = []
        /// How many more bytes the socket takes.
        var room = Int.max
        /// Whether it has not taken everything, and has not said since that it takes bytes again.
        var isFull = false
        /// As what the poller reports it; `nil`: it is not watched.
        var token: DoorToken?
        var watchesWriting = false
        var isAccepted = false
        var isClosed = false
        /// Whether it belongs to a stream.
        var isStream = false
        /// Whether the poller is to report that there is something to read.
        var reportsReading = false
        /// Whether the poller is to report that it takes bytes.
        var reportsWriting = false
    }

    struct Report {
        let token: DoorToken
        let isReadable: Bool
        let isWritable: Bool
        let hasEnded: Bool
    }

    var sockets: [Int32: Socket] = [:]
    /// For each listener the connections that wait.
    var waiting: [Int32: [Int32]] = [:]
    var watchedListeners: Set<Int32> = []
    /// Whether no descriptors are left.
    var isShort = false
    /// Whether the poller watches no more sockets.
    var refusesToWatch = false
    /// How often something was accepted, or was to be.
    var acceptCount = 0
    /// What the door did that it must not do.
    var violations: [String] = []
    /// Whether the server has got a socket.
    var isGiven: (Int32) -> Bool = { _ in false }

    // MARK: For the clients

    func connect(to listener: Int32, room: Int = .max) -> Int32 {
        let socket = Int32(sockets.count)
        sockets[socket] = Socket(room: room)
        waiting[listener, default: []].append(socket)
        return socket
    }

    func send(_ bytes: some Sequence<UInt8>, on socket: Int32) {
        let count = sockets[socket]?.input.count
        sockets[socket]?.input += bytes
        if sockets[socket]?.input.count != count { reportReading(socket) }
    }

    func end(_ socket: Int32) {
        sockets[socket]?.hasEnded = true
        reportReading(socket)
    }

    func breakConnection(of socket: Int32) {
        sockets[socket]?.isBroken = true
        reportReading(socket)
    }

    func makeRoom(of bytes: Int, in socket: Int32) {
        guard let state = sockets[socket], !state.isBroken else { return }
        sockets[socket]?.room = bytes
        sockets[socket]?.reportsWriting = state.watchesWriting && bytes > 0
    }

    private func reportReading(_ socket: Int32) {
        if sockets[socket]?.token != nil { sockets[socket]?.reportsReading = true }
    }

    // MARK: The poller

    var hasReports: Bool {
        !readyListeners.isEmpty || sockets.values.contains { $0.reportsReading || $0.reportsWriting }
    }

    var readyListeners: [Int32] { watchedListeners.filter { waiting[$0]?.isEmpty == false }.sorted() }

    func takeReports() -> [Report] {
        var reports: [Report] = []
        for (socket, state) in sockets.sorted(by: { $0.key < $1.key }) {
            guard let token = state.token, state.reportsReading || state.reportsWriting else { continue }
            // A broken connection takes bytes, too, and fails.
            let isWritable = state.watchesWriting && (state.room > 0 || state.isBroken)
            reports.append(
                Report(
                    token: token, isReadable: state.reportsReading, isWritable: isWritable,
                    hasEnded: state.hasEnded || state.isBroken))
            sockets[socket]?.reportsReading = false
            sockets[socket]?.reportsWriting = false
            if isWritable { sockets[socket]?.isFull = false }
        }
        return reports
    }

    // MARK: For the door

    fileprivate func accept(from listener: Int32) -> AcceptResult {
        acceptCount += 1
        if isShort { return .shortage(errno: 24) }
        guard let socket = waiting[listener]?.first else { return .nothing }
        waiting[listener]?.removeFirst()
        sockets[socket]?.isAccepted = true
        return .accepted(socket, from: nil)
    }

    fileprivate func receive(from socket: Int32, into bytes: UnsafeMutableRawBufferPointer) -> ReceiveResult {
        guard let state = touch(socket, "received from") else { return .broken }
        if state.isBroken { return .broken }
        if state.input.isEmpty { return state.hasEnded ? .end : .nothing }
        let count = min(state.input.count, bytes.count)
        bytes.copyBytes(from: state.input.prefix(count))
        sockets[socket]?.input.removeFirst(count)
        return .received(count)
    }

    fileprivate func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> SendResult {
        guard let state = touch(socket, "sent to"), !state.isBroken else { return .broken }
        if state.isFull { violations.append("Socket \(socket) is full and was not left alone.") }
        if bytes.isEmpty { violations.append("Socket \(socket) was sent nothing.") }
        let count = min(state.room, bytes.count)
        sockets[socket]?.received += bytes.prefix(count)
        if state.room != .max { sockets[socket]?.room -= count }
        sockets[socket]?.isFull = count < bytes.count
        return .sent(count)
    }

    fileprivate func watch(_ socket: Int32, _ token: DoorToken) -> Bool {
        guard let state = touch(socket, "watched") else { return false }
        if state.token != nil { violations.append("Socket \(socket) was watched twice.") }
        if refusesToWatch { return false }
        sockets[socket]?.token = token
        sockets[socket]?.reportsReading = state.hasSomethingToRead
        return true
    }

    fileprivate func watchWriting(_ socket: Int32, _ token: DoorToken) {
        guard let state = touch(socket, "watched for writing") else { return }
        if state.token != token { violations.append("Socket \(socket) was not watched as the same before.") }
        sockets[socket]?.watchesWriting = true
        sockets[socket]?.reportsWriting = state.room > 0
        sockets[socket]?.reportsReading = state.hasSomethingToRead
    }

    fileprivate func unwatch(_ descriptor: Int32) {
        if waiting[descriptor] != nil {
            watchedListeners.remove(descriptor)
        } else if touch(descriptor, "unwatched") != nil {
            forget(descriptor)
        }
    }

    fileprivate func close(_ socket: Int32) {
        guard touch(socket, "closed") != nil else { return }
        sockets[socket]?.isClosed = true
        forget(socket)
    }

    /// The poller reports the socket no more.
    func forget(_ socket: Int32) {
        sockets[socket]?.token = nil
        sockets[socket]?.watchesWriting = false
        sockets[socket]?.reportsReading = false
        sockets[socket]?.reportsWriting = false
    }

    /// `nil` if the socket does not belong to the door.
    private func touch(_ socket: Int32, _ how: String) -> Socket? {
        guard let state = sockets[socket], state.isAccepted else {
            violations.append("Socket \(socket) was \(how) before it was accepted.")
            return nil
        }
        if state.isClosed { violations.append("Socket \(socket) was \(how) after it was closed.") }
        if state.isStream { violations.append("Socket \(socket) was \(how) after its stream began.") }
        if isGiven(socket) { violations.append("Socket \(socket) was \(how) after the server got it.") }
        return state.isClosed || state.isStream || isGiven(socket) ? nil : state
    }
}

extension FakeDoorNetwork.Socket {
    fileprivate var hasSomethingToRead: Bool { !input.isEmpty || hasEnded || isBroken }
}

private struct FakeDoorTransport: DoorTransport {
    let network: FakeDoorNetwork

    func accept(from listener: Int32) -> AcceptResult { network.accept(from: listener) }
    func watch(listener: Int32) { network.watchedListeners.insert(listener) }

    func receive(from socket: Int32, into bytes: UnsafeMutableRawBufferPointer) -> ReceiveResult {
        network.receive(from: socket, into: bytes)
    }

    func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> SendResult { network.send(bytes, to: socket) }
    func watch(_ socket: Int32, _ token: DoorToken) -> Bool { network.watch(socket, token) }
    func watchWriting(_ socket: Int32, _ token: DoorToken) { network.watchWriting(socket, token) }
    func unwatch(_ socket: Int32) { network.unwatch(socket) }
    func close(_ socket: Int32) { network.close(socket) }
}

private typealias FakeDoor = Door<FakeDoorTransport>

// MARK: The protocol

/// A request is a line, whose first letter says how it is answered.
private struct LineRequest: DoorRequest {
    struct Failure: Error {}

    let kind: UInt8
    let text: [UInt8]
    let subscribe: @Sendable () throws -> Subscription

    /// The letters of requests for the door.
    static let kinds = "plqbsSferRzZ"

    func answerNow() throws -> DoorAnswer? {
        switch Character(UnicodeScalar(kind)) {
        case "l", "S", "f", "R", "Z": nil
        default: try wholeAnswer()
        }
    }

    func answer() async throws -> DoorAnswer { try wholeAnswer() }

    func wholeAnswer() throws -> DoorAnswer {
        switch Character(UnicodeScalar(kind)) {
        case "f", "e": throw Failure()
        case "s", "S": .stream(try subscribe(), opening: Self.reply(kind, text), framing: .plain)
        case "r", "R": .refusal(Self.reply(kind, text))
        case "z", "Z": .last(Self.reply(kind, text))
        default: .bytes(Self.reply(kind, text))
        }
    }

    /// What the client is sent.
    static func reply(_ kind: UInt8, _ text: some Collection<UInt8>) -> [UInt8] {
        switch Character(UnicodeScalar(kind)) {
        case "p": Array("+".utf8) + text + "\n".utf8
        case "l": Array("~".utf8) + text + "\n".utf8
        case "r", "R": Array("-".utf8) + text + "\n".utf8
        case "q": Array("\(text.count)\n".utf8)
        case "b": [UInt8](repeating: kind, count: Int(String(decoding: text, as: UTF8.self)) ?? 0) + "\n".utf8
        default: Array("<".utf8) + text + ">".utf8
        }
    }
}

/// What a client has to receive for a script, and what is not answered then.
private struct Outcome: Equatable {
    enum End { case open, server, stream }

    var answers: [UInt8] = []
    var end = End.open
    var rest: [UInt8] = []

    init(of script: some Sequence<UInt8>) {
        rest = Array(script)
        var lines = rest[...]
        while let newline = lines.firstIndex(of: UInt8(ascii: "\n")) {
            let (kind, text) = (lines[lines.startIndex], lines[lines.startIndex..<newline].dropFirst())
            rest = Array(lines)
            switch Character(UnicodeScalar(kind)) {
            case "p", "l", "q", "b", "r", "R": answers += LineRequest.reply(kind, text)
            case "s", "S":
                answers += LineRequest.reply(kind, text)
                rest = []
                end = .stream
                return
            default:
                end = .server
                return
            }
            lines = lines[(newline + 1)...]
            rest = Array(lines)
        }
        if let kind = rest.first, !LineRequest.kinds.utf8.contains(kind) { end = .server }
    }
}

private final class LineKeeper: DoorKeeper {
    struct State {
        /// The decisions about the next connections; the others are admitted.
        var admissions: [ConnectionAdmission] = []
        var entered = 0
        var left = 0
        var given: [Int32: (bytes: [UInt8], admission: ConnectionAdmission)] = [:]
        var givenTwice: [Int32] = []
        var shortages: [Int32] = []
        /// How many requests were read.
        var requestCount = 0
    }

    let idleTimeout: TimeAmount
    let writeTimeout: TimeAmount
    let state = Mutex(State())
    private let subscribe: @Sendable () throws -> Subscription

    init(
        idleTimeout: TimeAmount, writeTimeout: TimeAmount, subscribe: @escaping @Sendable () throws -> Subscription
    ) {
        self.idleTimeout = idleTimeout
        self.writeTimeout = writeTimeout
        self.subscribe = subscribe
    }

    func enter(from address: SocketAddress?) -> (ConnectionAdmission, ConnectionPeer) {
        state.withLock { state in
            let admission = state.admissions.isEmpty ? .admitted : state.admissions.removeFirst()
            if admission != .closed { state.entered += 1 }
            return (admission, ConnectionPeer(address: address))
        }
    }

    func leave(_ admission: ConnectionAdmission) { state.withLock { $0.left += 1 } }

    func read(_ bytes: UnsafeRawBufferPointer, from peer: ConnectionPeer) -> DoorReading {
        guard let kind = bytes.first, LineRequest.kinds.utf8.contains(kind) else { return .other }
        guard let newline = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return .incomplete }
        state.withLock { $0.requestCount += 1 }
        let request = LineRequest(kind: kind, text: Array(bytes[1..<newline]), subscribe: subscribe)
        return .request(request, length: newline + 1)
    }

    func give(_ socket: Int32, _ bytes: [UInt8], _ admission: ConnectionAdmission, _ peer: ConnectionPeer) {
        state.withLock { state in
            if state.given.updateValue((bytes, admission), forKey: socket) != nil { state.givenTwice.append(socket) }
        }
    }

    func cannotAccept(_ errno: Int32) { state.withLock { $0.shortages.append(errno) } }
    func close() async {}
}

// MARK: The bench

/// A door without a thread: the test says what happens when.
private final class DoorBench {
    private final class Launches {
        var waiting: [(token: DoorToken, request: LineRequest)] = []
    }

    /// The listeners, each of another keeper.
    static let listeners: [Int32] = [1000, 1001]

    let network = FakeDoorNetwork()
    let keepers: [LineKeeper]
    var door: FakeDoor
    var now = NIODeadline.now()
    private(set) var streams: [DoorStream] = []
    private let launches = Launches()

    /// - Parameter hub: Where the streams come from.
    init(hub: Hub? = nil, idleTimeout: TimeAmount = .seconds(3600), writeTimeout: TimeAmount = .seconds(3600)) {
        keepers = Self.listeners.map { _ in
            LineKeeper(idleTimeout: idleTimeout, writeTimeout: writeTimeout) {
                let subscription = try hub?.subscribeNow(
                    to: Selection(topics: ["a"]), after: nil, since: nil, withValues: false, terms: LeaseTerms())
                guard let subscription else { throw LineRequest.Failure() }
                return subscription
            }
        }
        door = Door(transport: FakeDoorTransport(network: network)) { [launches] token, request in
            guard let request = request as? LineRequest else { return }
            launches.waiting.append((token, request))
        }
        network.isGiven = { [keepers] socket in
            keepers.contains { $0.state.withLock { $0.given[socket] != nil } }
        }
        for (listener, keeper) in zip(Self.listeners, keepers) {
            network.waiting[listener] = []
            door.open(listener, keeper)
        }
    }

    deinit { door.deallocate() }

    var keeper: LineKeeper { keepers[0] }

    // MARK: Clients

    /// A new connection, with its first bytes, that the door has seen.
    func connect(_ text: String = "", to listener: Int = 0, room: Int = .max) -> Int32 {
        let socket = network.connect(to: Self.listeners[listener], room: room)
        network.send(text.utf8, on: socket)
        settle()
        return socket
    }

    /// Sends something that the door sees.
    func send(_ text: String, on socket: Int32) {
        network.send(text.utf8, on: socket)
        settle()
    }

    func end(_ socket: Int32) {
        network.end(socket)
        settle()
    }

    func breakConnection(of socket: Int32) {
        network.breakConnection(of: socket)
        settle()
    }

    func makeRoom(of bytes: Int = .max, in socket: Int32) {
        network.makeRoom(of: bytes, in: socket)
        settle()
    }

    func received(_ socket: Int32) -> String {
        String(decoding: network.sockets[socket]?.received ?? [], as: UTF8.self)
    }

    func isClosed(_ socket: Int32) -> Bool { network.sockets[socket]?.isClosed == true }

    /// What the server has got with a connection.
    func given(_ socket: Int32) -> String? {
        for keeper in keepers {
            if let bytes = keeper.state.withLock({ $0.given[socket]?.bytes }) {
                return String(decoding: bytes, as: UTF8.self)
            }
        }
        return nil
    }

    /// Whether the door has a connection.
    func isOpen(_ socket: Int32) -> Bool {
        network.sockets[socket]?.isAccepted == true && !isClosed(socket) && given(socket) == nil && !isStream(socket)
    }

    func isStream(_ socket: Int32) -> Bool { network.sockets[socket]?.isStream == true }

    // MARK: Later answers

    var awaitedCount: Int { launches.waiting.count }

    /// Gives the answer of one of the requests that wait, oldest first.
    func finish(_ number: Int = 0) {
        let (token, request) = launches.waiting.remove(at: number)
        door.finish(token, Result { try request.wholeAnswer() }, now: now)
        takeStreams()
    }

    func finishAll() {
        while awaitedCount > 0 {
            finish()
            settle()
        }
    }

    // MARK: Turns

    /// What a shard does when it wakes up.
    func turn() {
        for listener in network.readyListeners { door.listenerIsReady(listener) }
        for report in network.takeReports() {
            if report.isWritable { door.writable(report.token, now: now) }
            if report.isReadable { door.readable(report.token, hasEnded: report.hasEnded) }
        }
        if door.hasTurns {
            var looks = 0
            door.takeTurns(until: now + FakeDoor.turn) {
                looks += 1
                return looks < 10_000 ? now : now + FakeDoor.turn
            }
            if looks >= 10_000 { network.violations.append("The door is busy with nothing.") }
        }
        door.hasAnswered = false
        takeStreams()
        door.flushAnswers(now: now)
        if door.nextTime <= now { door.expire(now: now) }
    }

    /// Has the shard go on until it would sleep.
    func settle() {
        var count = 0
        repeat {
            turn()
            count += 1
        } while (door.isBusy || network.hasReports) && count < 1000
        if count == 1000 { network.violations.append("The shard does not come to rest.") }
        if door.hasAnswered { network.violations.append("The shard sleeps before what was published is announced.") }
        if !door.streams.isEmpty { network.violations.append("The shard sleeps before a stream goes on.") }
    }

    /// Lets time pass as for a shard, which wakes up when the door says.
    func advance(by duration: TimeAmount) {
        let end = now + duration
        settle()
        while door.nextTime <= end {
            now = max(now, door.nextTime)
            settle()
            if door.nextTime <= now {
                network.violations.append("The shard is woken for nothing.")
                break
            }
        }
        now = end
        settle()
    }

    private func takeStreams() {
        for stream in door.takeStreams() {
            let socket = network.sockets[stream.socket]
            if stream.isWatched != (socket?.token != nil) {
                network.violations.append("It is wrong whether stream \(stream.socket) is watched.")
            }
            network.sockets[stream.socket]?.isStream = true
            network.forget(stream.socket)
            streams.append(stream)
        }
    }

    /// Forgets the streams, whose subscriptions end so.
    func dropStreams() { streams = [] }

    /// What a client has received or will receive from its stream.
    func receivedWithUnsent(_ socket: Int32) -> [UInt8] {
        (network.sockets[socket]?.received ?? []) + (streams.first { $0.socket == socket }?.unsent ?? [])
    }

    // MARK: Checks

    /// Checks that every connection has one owner and is counted once, and that the door did nothing that it must not.
    func check(_ comment: String = "", sourceLocation: SourceLocation = #_sourceLocation) {
        takeStreams()
        let open = network.sockets.keys.count(where: isOpen)
        #expect(door.count == open, "\(comment)", sourceLocation: sourceLocation)
        let counts = keepers.map { $0.state.withLock { ($0.entered, $0.left + $0.given.count) } }
        let entered = counts.reduce(0) { $0 + $1.0 }
        let passedOn = counts.reduce(0) { $0 + $1.1 }
        #expect(entered == passedOn + streams.count + open, "\(comment)", sourceLocation: sourceLocation)
        let watched = network.sockets.filter { $0.value.token != nil && !isOpen($0.key) }.keys.sorted()
        #expect(watched == [], "\(comment)", sourceLocation: sourceLocation)
        #expect(keepers.flatMap { $0.state.withLock(\.givenTwice) } == [], sourceLocation: sourceLocation)
        #expect(network.violations == [], "\(comment)", sourceLocation: sourceLocation)
    }

    /// Checks what became of a client that has sent a script and whose answers have all been given.
    func check(_ socket: Int32, _ outcome: Outcome, _ comment: String, sourceLocation: SourceLocation) {
        let state = network.sockets[socket] ?? .init()
        #expect(receivedWithUnsent(socket) == outcome.answers, "\(comment)", sourceLocation: sourceLocation)
        switch outcome.end {
        case .open: #expect(isOpen(socket), "\(comment)", sourceLocation: sourceLocation)
        case .stream: #expect(isStream(socket), "\(comment)", sourceLocation: sourceLocation)
        case .server:
            let given = given(socket).map { Array($0.utf8) + state.input }
            #expect(given == outcome.rest, "\(comment)", sourceLocation: sourceLocation)
        }
    }

    func check(
        _ socket: Int32, script: String, _ comment: String = "", sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let comment = "\(script.debugDescription) \(comment)"
        check(socket, Outcome(of: script.utf8), comment, sourceLocation: sourceLocation)
        check(comment, sourceLocation: sourceLocation)
    }
}

// MARK: Tests

/// Runs a hub for as long as a closure runs, which can subscribe at once.
private func withRunningHub(_ body: @Sendable @escaping (Hub) async throws -> Void) async throws {
    try await withHub { hub in
        try await hub.waitForStart()
        try await body(hub)
    }
}

@Suite("A door answers requests in their order, and gives everything else to the server") struct DoorTests {
    // MARK: Answers

    @Test("Requests of one connection are answered in their order, up to one that the server or a stream gets")
    func everyOrder() async throws {
        try await withRunningHub { hub in
            let lines = ["p", "l", "q", "s", "S", "f", "e", "x"]
            var scripts = [""]
            var longest = [""]
            for place in 0..<4 {
                longest = longest.flatMap { script in lines.map { "\(script)\($0)\(place)\n" } }
                scripts += longest
            }
            for script in scripts {
                let bench = DoorBench(hub: hub)
                let socket = bench.connect(script)
                bench.finishAll()
                bench.check(socket, script: script)
                bench.end(socket)
                #expect(bench.door.count == 0)
                bench.check(script)
            }
            #expect(hub.feedCount == 0)
        }
    }

    @Test(
        "It does not matter where requests are split",
        arguments: [
            "p1\nl2\np3\n", "l1\nf2\np3\n", "p1\ns2\n", "p1\nS2\n", "q1\ne2\np3\n", "l1\nl2\nl34", "p1\nx\np2\n",
        ], [false, true])
    func everySplit(script: String, answersBetween: Bool) async throws {
        try await withRunningHub { hub in
            let bench = DoorBench(hub: hub)
            let bytes = Array(script.utf8)
            for first in 0...bytes.count {
                for second in first...bytes.count {
                    let socket = bench.connect()
                    for piece in [bytes[..<first], bytes[first..<second], bytes[second...]] {
                        bench.network.send(piece, on: socket)
                        bench.settle()
                        if answersBetween { bench.finishAll() }
                    }
                    bench.finishAll()
                    bench.check(socket, script: script, "split at \(first) and \(second)")
                }
            }
        }
    }

    @Test("A request whose answer is awaited holds up those behind it, and no other connection")
    func awaitedAnswer() {
        let bench = DoorBench()
        let slow = bench.connect("l1\np2\n")
        let quick = bench.connect("p3\n")
        bench.send("p4\n", on: slow)
        #expect(bench.received(slow) == "")
        #expect(bench.received(quick) == "+3\n")
        #expect(bench.awaitedCount == 1)
        bench.finishAll()
        bench.check(slow, script: "l1\np2\np4\n")
        bench.check(quick, script: "p3\n")
    }

    @Test("The answers of a turn are sent at once")
    func answersAreSentAtOnce() {
        let bench = DoorBench()
        let socket = bench.network.connect(to: DoorBench.listeners[0])
        bench.network.send("p1\np2\np3\n".utf8, on: socket)
        bench.door.listenerIsReady(DoorBench.listeners[0])
        bench.door.takeTurns(until: bench.now + FakeDoor.turn) { [now = bench.now] in now }
        #expect(bench.received(socket) == "")
        #expect(bench.door.hasAnswered)
        bench.door.flushAnswers(now: bench.now)
        #expect(bench.received(socket) == "+1\n+2\n+3\n")
    }

    @Test("A connection is answered only so many requests before others have their turn")
    func pipelinesTakeTurns() {
        let bench = DoorBench()
        let script = (0..<100).map { "p\($0)\n" }.joined()
        let greedy = bench.network.connect(to: DoorBench.listeners[0])
        bench.network.send(script.utf8, on: greedy)
        let quick = bench.network.connect(to: DoorBench.listeners[0])
        bench.network.send("p1\n".utf8, on: quick)
        bench.door.listenerIsReady(DoorBench.listeners[0])
        var calls = 0
        bench.door.takeTurns(until: bench.now + FakeDoor.turn) { [now = bench.now] in
            calls += 1
            // Time for two: each accepts one, and the second goes on with the first.
            return calls < 3 ? now : now + FakeDoor.turn
        }
        bench.door.flushAnswers(now: bench.now)
        #expect(bench.received(quick) == "+1\n")
        #expect(bench.received(greedy).split(separator: "\n").count == 2 * FakeDoor.mostRequests)
        bench.settle()
        bench.check(greedy, script: script)
        bench.check(quick, script: "p1\n")
    }

    @Test("A connection that was refused waits before its next request, and no other waits", arguments: ["r", "R"])
    func pauses(kind: String) {
        let bench = DoorBench()
        let refused = bench.connect("p0\n\(kind)1\np2\n\(kind)3\n")
        bench.finishAll()
        #expect(bench.received(refused) == "+0\n-1\n")
        bench.send("p4\n", on: refused)
        let quick = bench.connect("p5\n")
        #expect(bench.received(quick) == "+5\n")
        bench.advance(by: FakeDoor.pause - .milliseconds(1))
        #expect(bench.received(refused) == "+0\n-1\n")
        bench.advance(by: .milliseconds(1))
        bench.finishAll()
        #expect(bench.received(refused) == "+0\n-1\n+2\n-3\n")
        bench.advance(by: FakeDoor.pause)
        bench.check(refused, script: "p0\n\(kind)1\np2\n\(kind)3\np4\n")
        // One that leaves meanwhile is closed.
        let gone = bench.connect("\(kind)1\n")
        bench.finishAll()
        bench.end(gone)
        bench.advance(by: FakeDoor.pause)
        #expect(bench.isClosed(gone))
        bench.check()
    }

    @Test("A connection is closed behind its last answer, once the client has taken it", arguments: ["z", "Z"])
    func lastAnswer(kind: String) {
        let bench = DoorBench()
        let socket = bench.connect("p1\n\(kind)2\np3\n", room: 4)
        bench.finishAll()
        #expect(bench.received(socket) == "+1\n<")
        #expect(!bench.isClosed(socket))
        bench.makeRoom(in: socket)
        #expect(bench.received(socket) == "+1\n<2>")
        #expect(bench.isClosed(socket))
        bench.check()
    }

    @Test("More requests than the buffer holds are all answered")
    func longScript() {
        let bench = DoorBench()
        let script = (0..<30).map { "q" + String(repeating: "a", count: 8000 + $0) + "\n" }.joined()
        #expect(script.utf8.count > 3 * FakeDoor.mostBytes)
        let socket = bench.connect(script)
        #expect(bench.received(socket) == (0..<30).map { "\(8000 + $0)\n" }.joined())
        bench.check()
    }

    @Test("A failed later answer gives the server exactly what is not answered, once the client has the answers before")
    func failedLaterAnswer() {
        let bench = DoorBench()
        let socket = bench.connect("p1\nf2\np3\nl4\npa", room: 2)
        bench.finish()
        bench.settle()
        #expect(bench.given(socket) == nil)
        #expect(bench.received(socket) == "+1")
        bench.makeRoom(in: socket)
        #expect(bench.received(socket) == "+1\n")
        #expect(bench.given(socket) == "f2\np3\nl4\npa")
        bench.check()
    }

    @Test("A stream begins behind the answers that the client has not taken yet")
    func streamBehindAnswers() async throws {
        try await withRunningHub { hub in
            let bench = DoorBench(hub: hub)
            let socket = bench.connect("p1\nl2\ns3\n", room: 1)
            bench.finishAll()
            #expect(bench.isStream(socket))
            #expect(bench.received(socket) == "+")
            #expect(bench.streams.map { String(decoding: $0.unsent, as: UTF8.self) } == ["1\n~2\n<3>"])
            bench.check()
        }
    }

    @Test("The answer of a connection that is gone reaches no other", arguments: ["l1\n", "f1\n", "S1\n"])
    func lateAnswer(request: String) async throws {
        try await withRunningHub { hub in
            let bench = DoorBench(hub: hub)
            // It is watched, and full, so that its end is noticed while an answer is awaited.
            let gone = bench.connect("p0\n", room: 1)
            bench.send(request, on: gone)
            bench.breakConnection(of: gone)
            #expect(bench.isClosed(gone))
            // The place of the first is the place of the next.
            let next = bench.connect("l2\n")
            #expect(bench.awaitedCount == 2)
            bench.finish()
            bench.settle()
            #expect(bench.isOpen(next))
            #expect(bench.received(next) == "")
            bench.finish()
            bench.settle()
            bench.check(next, script: "l2\n")
            #expect(bench.given(gone) == nil)
        }
    }

    // MARK: Incomplete requests

    @Test("A request that stays incomplete goes to the server after the patience, with all bytes")
    func incompleteRequest() {
        let bench = DoorBench()
        let socket = bench.connect("p1\npa")
        bench.advance(by: .milliseconds(600))
        // More of it gives no more time.
        bench.send("b", on: socket)
        bench.advance(by: FakeDoor.patience - .milliseconds(601))
        #expect(bench.isOpen(socket))
        bench.advance(by: .milliseconds(1))
        #expect(bench.given(socket) == "pab")
        #expect(bench.received(socket) == "+1\n")
        bench.check()
    }

    @Test("Each request has the patience for itself")
    func eachRequestHasPatience() {
        let bench = DoorBench()
        let socket = bench.connect()
        for number in 0..<5 {
            bench.send("p", on: socket)
            bench.advance(by: .milliseconds(900))
            bench.send("\(number)\nl", on: socket)
            bench.advance(by: .milliseconds(900))
            bench.send("\(number)\n", on: socket)
            bench.advance(by: .milliseconds(2000))
            bench.finishAll()
        }
        #expect(bench.received(socket) == (0..<5).map { "+\($0)\n~\($0)\n" }.joined())
        #expect(bench.isOpen(socket))
        bench.check()
    }

    @Test("A request in too many pieces goes to the server, with all bytes")
    func tooManyPieces() {
        let bench = DoorBench()
        let (patient, impatient) = (bench.connect(), bench.connect())
        // As many as there may be, again and again.
        for _ in 0..<3 {
            for _ in 1..<FakeDoor.mostPieces { bench.send("p", on: patient) }
            bench.send("\n", on: patient)
        }
        let answer = "+" + String(repeating: "p", count: FakeDoor.mostPieces - 2) + "\n"
        #expect(bench.received(patient) == answer + answer + answer)
        for _ in 0..<FakeDoor.mostPieces + 4 { bench.send("p", on: impatient) }
        #expect(bench.given(impatient).map { $0.count <= FakeDoor.mostPieces + 1 } == true)
        let unread = String(decoding: bench.network.sockets[impatient]?.input ?? [], as: UTF8.self)
        #expect(bench.given(impatient).map { $0 + unread } == String(repeating: "p", count: FakeDoor.mostPieces + 4))
        bench.check()
    }

    @Test("A request that is too long goes to the server, with all bytes", arguments: [1, 40_000, 200_000])
    func tooLong(first: Int) {
        let bench = DoorBench()
        let text = "p" + String(repeating: "a", count: 4 * FakeDoor.mostBytes)
        let socket = bench.connect("q1\n" + text.prefix(first))
        bench.send(String(text.dropFirst(first)), on: socket)
        let given = bench.given(socket) ?? ""
        #expect(given.utf8.count >= FakeDoor.mostBytes && given.utf8.count <= 2 * FakeDoor.mostBytes)
        #expect(given + String(decoding: bench.network.sockets[socket]?.input ?? [], as: UTF8.self) == text)
        #expect(bench.received(socket) == "1\n")
        bench.check()
    }

    // MARK: Clients that do not take their answers

    @Test("A client that does not take its answers is read no further, and goes on when it takes them")
    func fullSocket() {
        let bench = DoorBench()
        let script = (0..<50).map { "b\(9000 + $0)\nl\($0)\n" }.joined()
        let socket = bench.connect(script, room: 100)
        for _ in 0..<100 where bench.awaitedCount > 0 {
            bench.finish()
            bench.settle()
        }
        #expect(bench.received(socket).utf8.count == 100)
        let most = FakeDoor.mostBytes / 9000 + 1
        #expect(bench.keeper.state.withLock(\.requestCount) <= 2 * most + 1)
        bench.send("p1\n", on: socket)
        #expect(bench.network.sockets[socket]?.input.isEmpty == false)
        let outcome = Outcome(of: (script + "p1\n").utf8)
        while bench.received(socket).utf8.count < outcome.answers.count {
            let count = bench.received(socket).utf8.count
            bench.makeRoom(of: 5000, in: socket)
            bench.finishAll()
            if bench.received(socket).utf8.count == count { break }
        }
        bench.check(socket, script: script + "p1\n")
    }

    @Test("Requests that are held up go on though nothing else happens", arguments: ["p2\n", "l2\n", "s2\n", "x"])
    func heldUp(last: String) async throws {
        try await withRunningHub { hub in
            let bench = DoorBench(hub: hub)
            let script = (0..<40).map { "b\(9000 + $0)\n" }.joined() + last
            let socket = bench.connect(script)
            bench.finishAll()
            bench.check(socket, script: script)
        }
    }

    @Test("A client that does not take its answers is disconnected after the write timeout, and not before")
    func writeTimeout() {
        let bench = DoorBench(writeTimeout: .seconds(30))
        let socket = bench.connect("p1\np2\n", room: 4)
        bench.advance(by: .milliseconds(29_999))
        #expect(bench.isOpen(socket))
        // It takes something, which counts.
        bench.makeRoom(of: 1, in: socket)
        bench.advance(by: .milliseconds(29_999))
        #expect(bench.isOpen(socket))
        bench.advance(by: .milliseconds(1))
        #expect(bench.isClosed(socket))
        #expect(bench.received(socket) == "+1\n+2")
        bench.check()
    }

    @Test(
        "The write timeout holds whatever the client sends",
        arguments: ["", "p", "p2\n", "p2\np", "l2\n", "f2\n", "e2\n", "x", "l2\np3\n"])
    func writeTimeoutHolds(more: String) {
        let bench = DoorBench(writeTimeout: .seconds(30))
        let socket = bench.connect("p1\n", room: 2)
        bench.advance(by: .seconds(10))
        bench.send(more, on: socket)
        bench.finishAll()
        bench.advance(by: .milliseconds(19_999))
        #expect(bench.isOpen(socket))
        bench.advance(by: .seconds(11))
        #expect(bench.isClosed(socket))
        #expect(bench.given(socket) == nil)
        #expect(bench.received(socket) == "+1")
        bench.check()
    }

    @Test("A client that takes its answers in time has nothing to fear from the write timeout")
    func noWriteTimeout() {
        let bench = DoorBench(idleTimeout: .seconds(100), writeTimeout: .seconds(30))
        let socket = bench.connect("p1\n", room: 2)
        bench.advance(by: .seconds(29))
        bench.makeRoom(in: socket)
        bench.advance(by: .seconds(69))
        #expect(bench.isOpen(socket))
        bench.send("p2\n", on: socket)
        bench.check(socket, script: "p1\np2\n")
    }

    @Test("A connection that goes to the server is read no more until the client has its answers")
    func leavingIsNotRead() {
        let bench = DoorBench()
        for line in ["x", "e2\n", "f2\n"] {
            let socket = bench.connect("p1\n" + line, room: 1)
            bench.finishAll()
            let more = String(repeating: "p3\n", count: 100_000)
            bench.send(more, on: socket)
            #expect(bench.network.sockets[socket]?.input.count == more.utf8.count)
            bench.makeRoom(in: socket)
            #expect(bench.received(socket) == "+1\n")
            #expect(bench.given(socket) == line)
            bench.check()
        }
    }

    // MARK: Waiting for requests

    @Test("A connection without a request is closed after the idle timeout, and not before")
    func idleTimeout() {
        let bench = DoorBench(idleTimeout: .seconds(60))
        let socket = bench.connect()
        bench.advance(by: .milliseconds(59_999))
        #expect(bench.isOpen(socket))
        bench.advance(by: .milliseconds(1))
        #expect(bench.isClosed(socket))
        bench.check()
    }

    @Test("Each request gives the idle timeout again", arguments: ["p1\n", "l1\n"])
    func idleTimeoutAgain(request: String) {
        let bench = DoorBench(idleTimeout: .seconds(60))
        let socket = bench.connect()
        for _ in 0..<20 {
            bench.advance(by: .seconds(50))
            bench.send(request, on: socket)
            bench.finishAll()
        }
        #expect(bench.received(socket).utf8.count == 20 * 3)
        bench.advance(by: .milliseconds(59_999))
        #expect(bench.isOpen(socket))
        bench.advance(by: .milliseconds(1))
        #expect(bench.isClosed(socket))
        bench.check()
    }

    @Test("An answer that is awaited has the time of the keeper")
    func awaitedAnswerHasTime() {
        let bench = DoorBench(idleTimeout: .seconds(60), writeTimeout: .seconds(30))
        let socket = bench.connect()
        bench.send("l1\npa", on: socket)
        bench.advance(by: .seconds(1000))
        #expect(bench.isOpen(socket))
        bench.finishAll()
        bench.advance(by: FakeDoor.patience - .milliseconds(1))
        #expect(bench.isOpen(socket))
        bench.send("\n", on: socket)
        bench.check(socket, script: "l1\npa\n")
    }

    @Test("Connections with requests do not keep those without", arguments: 0..<4)
    func idleAmongBusy(round: UInt64) {
        let bench = DoorBench(idleTimeout: .seconds(60))
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var ends: [Int32: NIODeadline] = [:]
        for _ in 0..<20 { ends[bench.connect()] = bench.now + .seconds(60) }
        for _ in 0..<400 {
            bench.advance(by: .milliseconds(Int64.random(in: 0...500, using: &random)))
            let sockets = ends.keys.filter(bench.isOpen).sorted()
            guard let socket = sockets.randomElement(using: &random) else { break }
            bench.send("p1\n", on: socket)
            ends[socket] = bench.now + .seconds(60)
        }
        let start = bench.now
        for _ in 0..<600 {
            bench.advance(by: .milliseconds(200))
            for (socket, end) in ends where bench.isOpen(socket) {
                // The door looks at a connection only now and then, so closing it may take as long again.
                #expect(bench.now < end + .seconds(60), "seed \(seed)")
            }
            for (socket, end) in ends where bench.now < end { #expect(bench.isOpen(socket), "seed \(seed)") }
        }
        #expect(bench.now >= start + .seconds(120))
        #expect(bench.door.count == 0)
        #expect(bench.door.nextTime == .distantFuture)
        bench.check("seed \(seed)")
    }

    // MARK: Ends

    @Test("A connection whose client sends nothing more is closed when nothing is left to answer")
    func endOfInput() {
        let bench = DoorBench()
        let silent = bench.connect()
        bench.end(silent)
        #expect(bench.isClosed(silent))
        #expect(bench.given(silent) == nil)

        let satisfied = bench.connect("p1\n")
        bench.end(satisfied)
        #expect(bench.isClosed(satisfied))

        let waiting = bench.connect("p0\nl1\np2\n")
        bench.end(waiting)
        #expect(bench.isOpen(waiting))
        bench.finishAll()
        #expect(bench.received(waiting) == "+0\n~1\n+2\n")
        #expect(bench.isClosed(waiting))

        let slow = bench.connect("p1\np2\n", room: 2)
        bench.end(slow)
        #expect(bench.isOpen(slow))
        bench.makeRoom(of: 1, in: slow)
        #expect(bench.isOpen(slow))
        bench.makeRoom(in: slow)
        #expect(bench.received(slow) == "+1\n+2\n")
        #expect(bench.isClosed(slow))

        let both = bench.connect("p1\n", room: 2)
        bench.send("l2\n", on: both)
        bench.end(both)
        bench.finishAll()
        #expect(bench.isOpen(both))
        bench.makeRoom(in: both)
        #expect(bench.received(both) == "+1\n~2\n")
        #expect(bench.isClosed(both))
        #expect(bench.door.count == 0)
        bench.check()
    }

    @Test("The server gets what a client leaves unfinished")
    func endOfInputWithinARequest() {
        let bench = DoorBench()
        let part = bench.connect("p1\npa")
        bench.end(part)
        #expect(bench.given(part) == "pa")
        #expect(bench.received(part) == "+1\n")

        let waiting = bench.connect("p0\nl1\npa")
        bench.end(waiting)
        bench.finishAll()
        #expect(bench.given(waiting) == "pa")
        #expect(bench.received(waiting) == "+0\n~1\n")

        let slow = bench.connect("p1\npa", room: 2)
        bench.end(slow)
        #expect(bench.given(slow) == nil)
        bench.makeRoom(in: slow)
        #expect(bench.given(slow) == "pa")
        #expect(bench.received(slow) == "+1\n")

        let failed = bench.connect("p0\nf1\np2\n")
        bench.end(failed)
        bench.finishAll()
        #expect(bench.given(failed) == "f1\np2\n")
        #expect(bench.door.count == 0)
        bench.check()
    }

    @Test(
        "An end that comes together with requests is seen at once",
        arguments: ["p1\n", "l1\n", "p1\nl2\n", "l1\np2\n", "pa", "l1\npa", "f1\n"], [false, true])
    func endWithRequests(script: String, isNew: Bool) {
        let bench = DoorBench()
        let socket = isNew ? bench.network.connect(to: DoorBench.listeners[0]) : bench.connect()
        bench.network.send(script.utf8, on: socket)
        bench.network.end(socket)
        bench.settle()
        bench.finishAll()
        let outcome = Outcome(of: script.utf8)
        #expect(bench.network.sockets[socket]?.received == outcome.answers)
        #expect(bench.isClosed(socket) == outcome.rest.isEmpty)
        #expect(bench.given(socket).map { Array($0.utf8) } == (outcome.rest.isEmpty ? nil : outcome.rest))
        #expect(bench.door.count == 0)
        bench.check()
    }

    @Test("A stream begins for a client that sends nothing more")
    func endOfInputOfAStream() async throws {
        try await withRunningHub { hub in
            let bench = DoorBench(hub: hub)
            let socket = bench.connect()
            bench.send("p0\nS1\n", on: socket)
            bench.end(socket)
            bench.finishAll()
            #expect(bench.isStream(socket))
            #expect(bench.received(socket) == "+0\n<1>")
            bench.check()
        }
    }

    @Test("A broken connection is closed and left, at each stage")
    func brokenConnections() async throws {
        try await withRunningHub { hub in
            let bench = DoorBench(hub: hub)
            let silent = bench.connect()
            bench.breakConnection(of: silent)
            #expect(bench.isClosed(silent))

            let new = bench.network.connect(to: DoorBench.listeners[0])
            bench.network.send("p1\n".utf8, on: new)
            bench.breakConnection(of: new)
            #expect(bench.isClosed(new))

            let part = bench.connect("p1\npa")
            bench.breakConnection(of: part)
            #expect(bench.isClosed(part))

            let slow = bench.connect("p1\n", room: 1)
            bench.breakConnection(of: slow)
            #expect(bench.isClosed(slow))

            let leaving = bench.connect("p1\nx", room: 1)
            bench.breakConnection(of: leaving)
            #expect(bench.isClosed(leaving))
            #expect(bench.given(leaving) == nil)

            for (request, goesToServer) in [("l1\n", false), ("l1\np2\n", false), ("S1\n", false), ("f1\n", true)] {
                let waiting = bench.connect()
                bench.send(request, on: waiting)
                bench.breakConnection(of: waiting)
                bench.finishAll()
                #expect(!bench.isOpen(waiting))
                #expect(!bench.isStream(waiting))
                #expect(bench.isClosed(waiting) || goesToServer)
                bench.check(request)
            }

            #expect(bench.streams.isEmpty)
            #expect(bench.door.count == 0)
            bench.check()
            #expect(hub.feedCount == 0)
        }
    }

    @Test("A socket that cannot be watched is closed")
    func unwatchableSocket() {
        let bench = DoorBench()
        bench.network.refusesToWatch = true
        for script in ["", "p", "x"] {
            let socket = bench.connect(script)
            #expect(bench.isClosed(socket) == (script != "x"))
            #expect(bench.given(socket) == (script == "x" ? "x" : nil))
        }
        let slow = bench.connect("p1\nl2\n", room: 1)
        #expect(bench.isClosed(slow))
        bench.finishAll()
        #expect(bench.door.count == 0)
        bench.check()
    }

    // MARK: Admission

    @Test("The server refuses those that are too many, and those that are far too many are closed at once")
    func admissions() {
        let bench = DoorBench()
        bench.keeper.state.withLock { $0.admissions = [.admitted, .refused, .closed, .admitted] }
        let sockets = (0..<4).map { _ in bench.network.connect(to: DoorBench.listeners[0]) }
        for socket in sockets { bench.network.send("p1\n".utf8, on: socket) }
        bench.settle()
        #expect(sockets.map(bench.received) == ["+1\n", "", "", "+1\n"])
        #expect(sockets.map(bench.isClosed) == [false, false, true, false])
        #expect(bench.given(sockets[1]) == "")
        #expect(bench.keeper.state.withLock { $0.given[sockets[1]]?.admission } == .refused)
        #expect(bench.network.sockets[sockets[1]].map { String(decoding: $0.input, as: UTF8.self) } == "p1\n")
        #expect(bench.keeper.state.withLock { [$0.entered, $0.left] } == [3, 0])
        bench.check()
    }

    @Test("Without descriptors nothing is accepted for a while, and those who are there are answered")
    func shortage() {
        let bench = DoorBench()
        let before = bench.connect("p1\n")
        bench.network.isShort = true
        let after = bench.connect("p2\n")
        #expect(bench.keeper.state.withLock(\.shortages) == [24])
        #expect(bench.keepers[1].state.withLock(\.shortages) == [])
        let count = bench.network.acceptCount
        bench.send("p3\n", on: before)
        bench.advance(by: FakeDoor.acceptPause - .milliseconds(1))
        #expect(bench.network.acceptCount == count)
        #expect(bench.received(before) == "+1\n+3\n")
        // It is still short.
        bench.advance(by: .milliseconds(1))
        #expect(bench.keeper.state.withLock(\.shortages) == [24, 24])
        bench.network.isShort = false
        #expect(bench.received(after) == "")
        bench.advance(by: FakeDoor.acceptPause)
        #expect(bench.received(after) == "+2\n")
        #expect(bench.received(bench.connect("p4\n")) == "+4\n")
        bench.check()
    }

    @Test("New connections and requests have a bounded time in each turn, and have their turn in the next")
    func boundedTurn() {
        let bench = DoorBench()
        let old = (0..<40).map { _ in bench.connect() }
        let new = (0..<40).map { _ in bench.network.connect(to: DoorBench.listeners[0]) }
        for socket in old + new { bench.network.send("p1\n".utf8, on: socket) }
        for report in bench.network.takeReports() { bench.door.readable(report.token, hasEnded: report.hasEnded) }
        bench.door.listenerIsReady(DoorBench.listeners[0])
        var served: [Int] = []
        for _ in 0..<50 where bench.door.hasTurns {
            var time = bench.now
            bench.door.takeTurns(until: bench.now + FakeDoor.turn) {
                defer { time = time + .nanoseconds(FakeDoor.turn.nanoseconds / 2) }
                return time
            }
            bench.door.flushAnswers(now: bench.now)
            served.append((old + new).count { bench.received($0) == "+1\n" })
        }
        #expect(served.first.map { $0 > 0 && $0 <= 40 } == true)
        #expect(served.last == 80)
        // Old and new ones have their turns beside each other.
        #expect(zip([0] + served, served).allSatisfy { $1 - $0 <= 40 })
        bench.check()
    }

    // MARK: Closing

    @Test("Closing the door of a keeper ends what waits for a request, answers what has come, and leaves others alone")
    func closedDoor() {
        let bench = DoorBench()
        let idle = bench.connect("p1\n")
        let part = bench.connect("p1\npa")
        let waiting = bench.connect("l1\n")
        let waitingWithRest = bench.connect("l1\np2\n")
        let failing = bench.connect("f1\np2\n")
        let slow = bench.connect("p1\n", room: 1)
        let slowWithRest = bench.connect("p1\npa", room: 1)
        let others = ["", "p1\npa", "l1\n"].map { bench.connect($0, to: 1) }

        #expect(bench.door.close(bench.keeper, now: bench.now) == [DoorBench.listeners[0]])
        #expect(bench.network.watchedListeners == [DoorBench.listeners[1]])
        bench.settle()
        #expect(bench.isClosed(idle))
        #expect(bench.given(part) == "pa")
        #expect([waiting, waitingWithRest, failing, slow, slowWithRest].allSatisfy(bench.isOpen))
        #expect(others.allSatisfy(bench.isOpen))
        bench.check()

        let late = bench.connect("p1\n")
        #expect(bench.network.sockets[late]?.isAccepted == false)
        bench.finishAll()
        for socket in [slow, slowWithRest] { bench.makeRoom(in: socket) }
        #expect(bench.received(waiting) == "~1\n")
        #expect(bench.isClosed(waiting))
        #expect(bench.received(waitingWithRest).hasPrefix("~1\n"))
        #expect(!bench.isOpen(waitingWithRest))
        #expect(
            bench.given(waitingWithRest) == "p2\n"
                || (bench.received(waitingWithRest) == "~1\n+2\n" && bench.isClosed(waitingWithRest)))
        #expect(bench.given(failing) == "f1\np2\n")
        #expect(bench.received(slow) == "+1\n")
        #expect(bench.isClosed(slow))
        #expect(bench.received(slowWithRest) == "+1\n")
        #expect(bench.given(slowWithRest) == "pa")

        #expect(bench.door.count == 3)
        bench.send("p2\n", on: others[0])
        bench.send("\n", on: others[1])
        #expect(others.map(bench.received) == ["+2\n", "+1\n+a\n", "~1\n"])
        #expect(bench.received(bench.connect("p3\n", to: 1)) == "+3\n")
        bench.check()
    }

    @Test("A door that is closed without descriptors stays closed")
    func closedInAPause() {
        let bench = DoorBench()
        bench.network.isShort = true
        let socket = bench.connect("p1\n")
        #expect(bench.door.close(bench.keeper, now: bench.now) == [DoorBench.listeners[0]])
        bench.network.isShort = false
        #expect(bench.door.nextTime == .distantFuture)
        bench.advance(by: .seconds(10))
        #expect(bench.network.sockets[socket]?.isAccepted == false)
        #expect(bench.network.watchedListeners == [DoorBench.listeners[1]])
        bench.check()
    }

    @Test("A door that stops closes all connections, and answers no more")
    func stop() {
        let bench = DoorBench()
        let sockets = ["", "p1\n", "pa", "l1\np2\n", "f1\n"].map { bench.connect($0) }
        let slow = bench.connect("p1\nx", room: 1)
        let other = bench.connect("l1\n", to: 1)
        #expect(bench.door.stop() == DoorBench.listeners)
        #expect((sockets + [slow, other]).allSatisfy(bench.isClosed))
        #expect(bench.door.count == 0)
        bench.finishAll()
        bench.advance(by: .seconds(10_000))
        #expect(bench.received(other) == "")
        #expect(bench.keepers.map { $0.state.withLock(\.left) } == [6, 1])
        bench.check()
    }

    // MARK: Names

    @Test("The number of a token names the same connection again, and no sink or listener")
    func tokens() {
        for index: Int32 in [0, 1, 77, .max] {
            for generation: UInt32 in [0, 1, 0x7FFF_FFFF] {
                let token = DoorToken(index: index, generation: generation)
                #expect(DoorToken(rawValue: token.rawValue) == token)
                #expect(token.rawValue < UInt64.max << 32)
                #expect(DoorToken(rawValue: SinkToken(index: index, generation: generation).rawValue) == nil)
            }
        }
    }
}

// MARK: The simulation

/// A client that sends a script in pieces.
private final class DoorClient {
    let socket: Int32
    let script: [UInt8]
    /// How much of the script it has sent.
    var sentCount = 0
    var hasEnded = false
    var isBroken = false
    /// Whether the server may have got it for another reason than its script.
    var isHurried = false

    init(_ socket: Int32, _ script: [UInt8]) {
        self.socket = socket
        self.script = script
    }

    var isDone: Bool { sentCount == script.count }
}

@Suite("Whatever clients, sockets and keepers do, a door loses, repeats and reorders nothing")
struct DoorSimulationTests {
    @Test(
        "Every client has exactly the answers of its requests, or the server has exactly the others",
        arguments: 0..<24)
    func everyClientIsAnswered(round: Int) async throws {
        let seed = UInt64.random(in: 0 ... .max)
        try await withRunningHub { hub in
            var simulation = DoorSimulation(hub, seed: seed, timePasses: round % 2 == 1)
            for _ in 0..<800 { simulation.step() }
            simulation.finish()
            #expect(hub.feedCount == 0, "seed \(seed)")
        }
    }
}

private struct DoorSimulation {
    private let bench: DoorBench
    private let seed: UInt64
    /// Whether requests may be incomplete for too long.
    private let timePasses: Bool
    private var random: SeededGenerator
    private var clients: [DoorClient] = []
    private var number = 0

    init(_ hub: Hub, seed: UInt64, timePasses: Bool) {
        bench = DoorBench(hub: hub)
        self.seed = seed
        self.timePasses = timePasses
        random = SeededGenerator(seed: seed)
    }

    private mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

    private mutating func makeLine() -> String {
        number += 1
        let kind = ["p", "p", "p", "l", "l", "q", "b", "b"].randomElement(using: &random) ?? "p"
        if chance(16) { return (["s", "S", "f", "e", "x"].randomElement(using: &random) ?? "s") + "\(number)\n" }
        if kind == "b" { return "b\([0, 10, 3000, 40_000, 100_000].randomElement(using: &random) ?? 0)\n" }
        return kind + "\(number)" + String(repeating: "-", count: chance(8) ? 2000 : 1) + "\n"
    }

    private mutating func connect() {
        let script = (0..<Int.random(in: 0...14, using: &random)).map { _ in makeLine() }.joined()
        let listener = DoorBench.listeners.randomElement(using: &random) ?? 0
        let socket = bench.network.connect(to: listener, room: chance(2) ? .max : 0)
        let client = DoorClient(socket, Array(script.utf8))
        client.isHurried = timePasses
        clients.append(client)
    }

    /// Sends a piece: never so small that a request comes in too many, unless that is fine.
    private mutating func send(_ client: DoorClient) {
        guard !client.hasEnded, !client.isBroken else { return }
        let most = client.script.count - client.sentCount
        let least = min(most, timePasses ? 1 : 400)
        let bytes = chance(3) ? most : Int.random(in: least...max(least, min(most, 600)), using: &random)
        bench.network.send(client.script[client.sentCount..<client.sentCount + bytes], on: client.socket)
        client.sentCount += bytes
    }

    mutating func step() {
        if clients.count < 6 || chance(25) { connect() }
        let client = clients[Int.random(in: max(0, clients.count - 12)..<clients.count, using: &random)]
        switch Int.random(in: 0..<24, using: &random) {
        case 0..<7: send(client)
        case 7..<11:
            let room = [0, 1, 10, 1000, 50_000, .max].randomElement(using: &random) ?? 0
            bench.network.makeRoom(of: room, in: client.socket)
        case 11..<15:
            if bench.awaitedCount > 0 { bench.finish(Int.random(in: 0..<bench.awaitedCount, using: &random)) }
        case 15..<22: bench.turn()
        case 22: rarely(client)
        default:
            guard timePasses else { break }
            bench.network.isShort = chance(4)
            bench.now = bench.now + .milliseconds(Int64.random(in: 0...300, using: &random))
        }
    }

    private mutating func rarely(_ client: DoorClient) {
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            client.isBroken = true
            bench.network.breakConnection(of: client.socket)
        case 1:
            client.hasEnded = true
            client.isHurried = true
            bench.network.end(client.socket)
        case 2:
            let admission =
                [.admitted, .refused, .closed].randomElement(using: &random) ?? ConnectionAdmission.admitted
            bench.keeper.state.withLock { $0.admissions.append(admission) }
        default: bench.settle()
        }
        bench.check("seed \(seed)")
    }

    /// Has everything come to its end, and checks what has become of each client.
    mutating func finish() {
        bench.network.isShort = false
        bench.keeper.state.withLock { $0.admissions = [] }
        if timePasses { bench.advance(by: .seconds(1)) }
        for client in clients {
            while !client.isDone, !client.hasEnded, !client.isBroken {
                send(client)
                bench.settle()
            }
            bench.network.makeRoom(of: .max, in: client.socket)
        }
        bench.settle()
        bench.finishAll()
        for client in clients where !client.isBroken { check(client) }
        bench.check("seed \(seed)")
        for client in clients where bench.isOpen(client.socket) {
            #expect(!client.hasEnded && !client.isBroken, "seed \(seed), client \(client.socket)")
            bench.network.end(client.socket)
        }
        bench.settle()
        #expect(bench.door.count == 0, "seed \(seed)")
        for client in clients where client.isBroken { checkBroken(client) }
        bench.check("seed \(seed)")
        bench.dropStreams()
    }

    private func check(_ client: DoorClient) {
        let comment: Comment = "seed \(seed), client \(client.socket)"
        let sent = Array(client.script.prefix(client.sentCount))
        let outcome = Outcome(of: sent)
        let received = bench.receivedWithUnsent(client.socket)
        let unread = bench.network.sockets[client.socket]?.input ?? []
        if let given = bench.given(client.socket).map({ Array($0.utf8) + unread }) {
            // What was not answered begins with a request.
            let answered = sent.count - given.count
            let isWhole = answered == 0 || (answered > 0 && sent[answered - 1] == UInt8(ascii: "\n"))
            #expect(answered >= 0 && isWhole, comment)
            #expect(given == Array(sent.dropFirst(answered)), comment)
            #expect(received == Outcome(of: sent.prefix(max(0, answered))).answers, comment)
            let isRefused = received.isEmpty && bench.wasRefused(client.socket)
            if !client.isHurried, !isRefused { #expect(given == outcome.rest && outcome.end == .server, comment) }
        } else if bench.isStream(client.socket) {
            #expect(outcome.end == .stream, comment)
            #expect(received == outcome.answers, comment)
        } else if bench.network.sockets[client.socket]?.received.isEmpty == true, bench.isClosed(client.socket) {
            // Closed as soon as it was accepted, or after its end.
            #expect(outcome.answers.isEmpty || unread == sent, comment)
        } else {
            #expect(received == outcome.answers, comment)
            #expect(outcome.end == .open && outcome.rest.isEmpty, comment)
            #expect(bench.isClosed(client.socket) == client.hasEnded, comment)
        }
    }

    /// A broken client may have missed something, and has received nothing wrong.
    private func checkBroken(_ client: DoorClient) {
        let received = bench.network.sockets[client.socket]?.received ?? []
        let answers = Outcome(of: client.script).answers
        #expect(answers.starts(with: received), "seed \(seed), client \(client.socket)")
        #expect(!bench.isOpen(client.socket), "seed \(seed), client \(client.socket)")
    }
}

extension DoorBench {
    fileprivate func wasRefused(_ socket: Int32) -> Bool {
        keepers.contains { $0.state.withLock { $0.given[socket]?.admission } == .refused }
    }
}
