// SPDX-License-Identifier: Apache-2.0

#if Redis
import CHiredis
import Martlet
import MartletSupport

/// A connection to the server, for one thread, which it blocks.
///
/// A connection that has thrown ``LogUnreachable`` is of no use any more.
final class RedisConnection {
    private let context: UnsafeMutablePointer<redisContext>
    private let sockets: OpenSockets
    private let socket: Int32
    /// How many commands have no answer yet.
    private var unanswered = 0

    /// Connects, says who asks, and chooses the database.
    ///
    /// - Parameters:
    ///   - sockets: Where the connection can be ended from any thread.
    ///   - extraTime: How much longer than others a command may take because it waits for something.
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
        // From here on the connection is closed when it is released.
        if let password = configuration.password {
            var command = RedisCommand("AUTH")
            if let username = configuration.username { command.append(username) }
            try run(command.appending(password)) { _ in }
        }
        if configuration.database != 0 { try run(RedisCommand("SELECT", "\(configuration.database)")) { _ in } }
    }

    deinit {
        sockets.remove(socket)
        redisFree(context)
    }

    /// Sends a command and gives its answer to a closure.
    func run<Value>(_ command: RedisCommand, _ body: (RedisReply) throws -> Value) throws -> Value {
        send(command)
        return try receive(body)
    }

    /// Sends commands together, and returns once all are answered.
    func run(_ commands: [RedisCommand]) throws {
        for command in commands { send(command) }
        for _ in commands { try receive { _ in } }
    }

    /// Has a command sent with whatever is received next.
    func send(_ command: RedisCommand) {
        let starts = [0] + command.ends.dropLast()
        var lengths = zip(starts, command.ends).map { $1 - $0 }
        // The library copies everything before it returns.
        command.bytes.withUnsafeBytes { bytes in
            let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
            var arguments = starts.map { base?.advanced(by: $0) }
            _ = redisAppendCommandArgv(context, Int32(arguments.count), &arguments, &lengths)
        }
        unanswered += 1
    }

    /// Gives the answer to the oldest command that has none to a closure.
    ///
    /// - Throws: ``LogUnreachable`` where none comes, or where the server cannot do it now; ``RedisError`` where it never
    ///   will; what the closure throws.
    func receive<Value>(_ body: (RedisReply) throws -> Value) throws -> Value {
        var answer: UnsafeMutableRawPointer?
        guard redisGetReply(context, &answer) == REDIS_OK, let answer else {
            throw LogUnreachable(Self.message(of: context), mayHaveAccepted: true)
        }
        // The library has made it, and nobody else knows of it.
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

    /// Takes the answers to what was sent together with a command that has failed.
    private func skipAnswers() {
        var answer: UnsafeMutableRawPointer?
        while unanswered > 0, redisGetReply(context, &answer) == REDIS_OK {
            unanswered -= 1
            if let answer { freeReplyObject(answer) }
        }
    }

    private static func message(of context: UnsafeMutablePointer<redisContext>) -> String {
        // A text of 128 bytes at most that ends with a zero.
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

/// What a server answers in place of doing what it was asked.
struct RedisError: Error, CustomStringConvertible {
    /// As the server says it: a code in capitals, and what is wrong.
    let description: String

    var code: ExactText { ExactText(String(description.splitExactly(at: UInt8(ascii: " "), maxSplits: 1)[0])) }

    /// Codes of what passes: the server starts, is no longer the main one, cannot write, has forgotten a script, or does not
    /// know who asks until somebody tells it.
    private static let passing = Set(
        [
            "LOADING", "READONLY", "MASTERDOWN", "MISCONF", "NOSCRIPT", "BUSY", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN",
            "NOAUTH", "WRONGPASS", "NOPERM", "UNBLOCKED",
        ].map(ExactText.init))

    static func explain(_ message: String) -> any Error {
        let error = RedisError(description: message)
        if error.code == ExactText("OOM") {
            return MartletError(.storageFull, "There is no room for what is published. Nothing was; try again later.")
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
