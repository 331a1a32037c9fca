// SPDX-License-Identifier: Apache-2.0

#if Redis
import CHiredis
import Martlet
import MartletSupport
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A connection to the server, for use on one thread. Its calls block.
///
/// After it has thrown ``LogUnreachable``, a connection cannot be used any more.
final class RedisConnection {
    private let context: UnsafeMutablePointer<redisContext>
    private let sockets: OpenSockets
    private let socket: Int32
    /// The number of commands without an answer.
    private var unanswered = 0

    /// Connects, authenticates, and selects the database.
    ///
    /// - Parameters:
    ///   - sockets: Can end the connection from any thread.
    ///   - extraTime: How much longer than others a command may take because it waits for entries.
    init(
        to configuration: RedisLogConfiguration, sockets: OpenSockets, extraTime: Duration = .zero
    ) throws {
        let context = redisConnectWithTimeout(
            configuration.host, Int32(clamping: configuration.port), timeval(configuration.connectTimeout))
        guard let context else { throw LogUnreachable("There is no memory for a connection.") }
        guard context.pointee.err == 0 else {
            defer { redisFree(context) }
            throw LogUnreachable(Self.message(of: context))
        }
        redisSetTimeout(context, timeval(configuration.commandTimeout + extraTime))
        redisEnableKeepAlive(context)
        guard sockets.insert(context.pointee.fd) else {
            redisFree(context)
            throw LogUnreachable("The log is closed.")
        }
        self.context = context
        self.sockets = sockets
        self.socket = context.pointee.fd
        // From here on, `deinit` closes the connection.
        if let password = configuration.password {
            var command = RedisCommand("AUTH")
            if let username = configuration.username { command.append(username) }
            command.append(password)
            try run(command) { _ in }
        }
        if configuration.database != 0 { try run(RedisCommand("SELECT", "\(configuration.database)")) { _ in } }
    }

    deinit {
        sockets.remove(socket)
        redisFree(context)
    }

    /// Sends a command and calls a closure with the answer.
    func run<Value>(_ command: RedisCommand, _ body: (RedisReply) throws -> Value) throws -> Value {
        send(command)
        return try receive(body)
    }

    /// Sends commands together, and returns once all are answered.
    func run(_ commands: [RedisCommand]) throws {
        for command in commands { send(command) }
        for _ in commands { try receive { _ in } }
    }

    /// Queues a command. The next ``receive(_:)`` sends it.
    func send(_ command: RedisCommand) {
        let starts = [0] + command.ends.dropLast()
        var lengths = zip(starts, command.ends).map { $1 - $0 }
        // The library copies everything before it returns.
        command.bytes.withUnsafeBytes { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            var words = starts.map { base?.advanced(by: $0) }
            _ = redisAppendCommandArgv(context, Int32(words.count), &words, &lengths)
        }
        unanswered += 1
    }

    /// Calls a closure with the answer to the oldest command without one.
    ///
    /// - Throws: ``LogUnreachable`` if no answer comes, or if the server cannot do this now; ``RedisError`` if it never
    ///   will; the error of the closure.
    func receive<Value>(_ body: (RedisReply) throws -> Value) throws -> Value {
        var answer: UnsafeMutableRawPointer?
        guard redisGetReply(context, &answer) == REDIS_OK, let answer else {
            throw LogUnreachable(Self.message(of: context), mayHaveAccepted: true)
        }
        // The library has allocated it for this call.
        defer { freeReplyObject(answer) }
        unanswered -= 1
        let reply = RedisReply(answer.assumingMemoryBound(to: redisReply.self))
        do {
            if let error = reply.error { throw RedisError.explain(error) }
            return try body(reply)
        } catch {
            skipAnswers()
            throw error
        }
    }

    /// Drops the answers to the commands that were sent together with one that has failed.
    private func skipAnswers() {
        var answer: UnsafeMutableRawPointer?
        while unanswered > 0, redisGetReply(context, &answer) == REDIS_OK {
            unanswered -= 1
            if let answer { freeReplyObject(answer) }
        }
    }

    private static func message(of context: UnsafeMutablePointer<redisContext>) -> String {
        // At most 128 bytes, of which the last is zero.
        let text = withUnsafeBytes(of: &context.pointee.errstr) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        switch text {
        case "": return "The connection was lost."
        case "Resource temporarily unavailable", "Connection timed out": return "The server did not answer in time."
        default: return text
        }
    }
}

/// The open sockets of a log, through which any thread can end calls that block.
final class OpenSockets: Sendable {
    private struct State {
        var sockets: Set<Int32> = []
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Returns whether the log is still open.
    func insert(_ socket: Int32) -> Bool {
        state.withLock { state in
            if !state.isClosed { state.sockets.insert(socket) }
            return !state.isClosed
        }
    }

    /// Call it before the socket is closed, because another file may get its number then.
    func remove(_ socket: Int32) { state.withLock { _ = $0.sockets.remove(socket) } }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// Ends all connections, and those that are made later. Calls that wait for an answer throw.
    func close() {
        state.withLock { state in
            state.isClosed = true
            for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
        }
    }
}

/// An error message of the server.
struct RedisError: Error, CustomStringConvertible {
    /// As the server sends it: a code in capitals, then what is wrong.
    let description: String

    private var code: ExactText {
        ExactText(String(description.splitExactly(at: UInt8(ascii: " "), maxSplits: 1)[0]))
    }

    /// Codes of conditions that may pass: the server starts, is no longer the primary, cannot write, has forgotten a
    /// script, or an operator has yet to set a password or rights.
    private static let passing = Set(
        [
            "LOADING", "READONLY", "MASTERDOWN", "MISCONF", "NOSCRIPT", "BUSY", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN",
            "NOAUTH", "WRONGPASS", "NOPERM", "UNBLOCKED",
        ].map(ExactText.init))

    static func explain(_ message: String) -> any Error {
        let error = RedisError(description: message)
        if error.code == ExactText("OOM") {
            return MartletError(.storageFull, "The log has no room left. Nothing was published; try again later.")
        }
        let isPassing =
            passing.contains(error.code) || message.startsExactly(with: "ERR AUTH")
            || message.startsExactly(with: "ERR max number")
        return isPassing ? LogUnreachable(message) : error
    }
}

extension timeval {
    fileprivate init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self.init(tv_sec: .init(seconds), tv_usec: .init(attoseconds / 1_000_000_000_000))
    }
}
#endif
