// SPDX-License-Identifier: Apache-2.0

#if Redis
public import Martlet

/// Where the stream of a ``RedisLog`` is, how much of it is kept, and all bounds.
///
/// Give all nodes of a stream the same values, except for the times. If they keep different amounts, the least counts.
public struct RedisLogConfiguration: Sendable {
    public var host: String
    public var port: Int
    /// The user in the server's access control list; `nil` for the default user.
    public var username: String?
    /// `nil` if the server needs no password. It is never logged.
    public var password: String?
    public var database: Int
    /// The key of the stream. The other keys of the log begin with it and a colon.
    public var stream: String

    /// How much history to keep. The server needs about ``/Martlet/Retention/bytes`` of memory for it.
    public var retention: Retention
    /// The most topics whose last removed event is remembered. Beyond it, the older half is forgotten.
    public var trimmedTopics: Int
    /// The most topics to remember that have ended, expire, or have a writer. Beyond it, the topic that has changed least
    /// recently is forgotten: it is open again.
    public var topics: Int
    /// The most keys whose newest event is kept beyond history. Beyond it, the oldest is forgotten.
    public var stateKeys: Int
    /// The most bytes of these events, as they are stored.
    public var stateBytes: Int
    /// The limits for entries that other programs add to the stream; entries over them are skipped.
    public var limits: Limits

    /// How long connecting may take.
    public var connectTimeout: Duration
    /// How long the server may take to answer a command.
    public var commandTimeout: Duration
    /// The range of the wait before the next attempt to reach the server.
    public var retryDelay: ClosedRange<Duration>
    /// How long publishing, subscribing and reading history wait for a server that is away.
    public var patience: Duration
    /// The time between two checks for events that are too old and for entries of other programs; and how long the
    /// server may be silent before the log checks that it is still there.
    public var checkInterval: Duration

    /// The most events that are sent together; a publish is never split.
    public var groupEvents: Int
    /// The most bytes of events that are sent together.
    public var groupBytes: Int
    /// The most publishes that wait to be sent. Further ones fail.
    public var queuedPublishes: Int
    /// The most bytes of events that wait to be sent.
    public var queuedBytes: Int
    /// How many connections read history, each on its own thread.
    public var readers: Int
    /// The most calls that wait for one of them. Further ones fail.
    public var queuedReads: Int
    /// The most bytes of events that are read from the stream before the hub takes them.
    public var tailBytes: Int

    public init(
        host: String = "127.0.0.1",
        port: Int = 6379,
        username: String? = nil,
        password: String? = nil,
        database: Int = 0,
        stream: String = "martlet",
        retention: Retention = Retention(),
        trimmedTopics: Int = 16_384,
        topics: Int = TopicBook.defaultCapacity,
        stateKeys: Int = 100_000,
        stateBytes: Int = 64 * 1024 * 1024,
        limits: Limits = Limits(),
        connectTimeout: Duration = .seconds(2),
        commandTimeout: Duration = .seconds(5),
        retryDelay: ClosedRange<Duration> = .milliseconds(50)...Duration.seconds(2),
        patience: Duration = .seconds(2),
        checkInterval: Duration = .seconds(1),
        groupEvents: Int = 512,
        groupBytes: Int = 1024 * 1024,
        queuedPublishes: Int = 10_000,
        queuedBytes: Int = 32 * 1024 * 1024,
        readers: Int = 4,
        queuedReads: Int = 20_000,
        tailBytes: Int = 8 * 1024 * 1024
    ) {
        self.host = host
        self.port = port
        self.username = username
        self.password = password
        self.database = database
        self.stream = stream
        self.retention = retention
        self.trimmedTopics = trimmedTopics
        self.topics = topics
        self.stateKeys = stateKeys
        self.stateBytes = stateBytes
        self.limits = limits
        self.connectTimeout = connectTimeout
        self.commandTimeout = commandTimeout
        self.retryDelay = retryDelay
        self.patience = patience
        self.checkInterval = checkInterval
        self.groupEvents = groupEvents
        self.groupBytes = groupBytes
        self.queuedPublishes = queuedPublishes
        self.queuedBytes = queuedBytes
        self.readers = readers
        self.queuedReads = queuedReads
        self.tailBytes = tailBytes
    }

    /// The name of the server in messages, without credentials.
    var name: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)" }  // characters: a colon
}

/// Why a ``RedisLog`` cannot be opened, however long one waits.
public enum RedisLogError: Error, Equatable, CustomStringConvertible {
    /// Another program uses the key of the stream, or one of those that begin with it.
    case wrongType(key: String)
    /// The server does not support what the log needs.
    case unsupported(String)
    /// The system starts no more threads.
    case noThread(String)
    /// The log was closed.
    case closed

    public var description: String {
        switch self {
        case .wrongType(let key):
            "Another program uses the key \(key) of the server, or one that begins with \(key):. "
                + "Choose another stream: redis://…?stream=NAME."
        case .unsupported(let answer):
            "The server does not support a command that Martlet needs: \(answer). Use Redis 6.2 or newer, or Valkey."
        case .noThread(let message): message
        case .closed: "The log is closed."
        }
    }
}
#endif
