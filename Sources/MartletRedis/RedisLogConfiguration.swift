// SPDX-License-Identifier: Apache-2.0

#if Redis
public import Martlet

/// Where the stream of a ``RedisLog`` is, what is kept of it, and every bound with its default.
///
/// All nodes of one stream should have the same, except for the times. Where they keep different amounts, the least counts.
public struct RedisLogConfiguration: Sendable {
    public var host: String
    public var port: Int
    /// The user of the server's access control list; `nil`: the default user.
    public var username: String?
    /// `nil`: the server asks for none. It is never logged.
    public var password: String?
    public var database = 0
    /// The key of the stream. The keys of what the log remembers besides begin with it and a colon.
    public var stream = "martlet"

    /// How much history is kept. All of it is in the server's memory, which takes about as much as ``Retention/bytes`` says.
    public var retention = Retention()
    /// The most topics of which is remembered what was removed last. Past it the older half is forgotten.
    public var trimmedTopics = 16_384
    /// What an event must be that others have added to the stream; what is not is skipped.
    public var limits = Limits()

    /// How long connecting may take.
    public var connectTimeout = Duration.seconds(2)
    /// How long the server may take to answer a command, or its machine to take it.
    public var commandTimeout = Duration.seconds(5)
    /// How long is waited before a server that is away is asked again: it grows from the one to the other.
    public var retryDelay = Duration.milliseconds(50)...Duration.seconds(2)
    /// How long a publish, or somebody who subscribes or reads history, waits for a server that is away.
    public var patience = Duration.seconds(2)
    /// How often is looked for what is too old, and for what others did to the stream; and the longest that a server may say
    /// nothing new before it is asked whether it is still there.
    public var checkInterval = Duration.seconds(1)

    /// The most events that are sent at once; one publish is sent whole.
    public var groupEvents = 512
    /// The most bytes of events that are sent at once.
    public var groupBytes = 1024 * 1024
    /// The most publishes that wait to be sent. The next one is refused.
    public var queuedPublishes = 10_000
    /// The most bytes of events that wait to be sent.
    public var queuedBytes = 32 * 1024 * 1024
    /// How many connections read history, each on a thread of its own.
    public var readers = 4
    /// The most who wait for one of them. The next one is refused.
    public var queuedReads = 20_000
    /// The most bytes of events that are read from the stream before the hub takes them.
    public var tailBytes = 8 * 1024 * 1024

    public init(host: String = "127.0.0.1", port: Int = 6379) {
        self.host = host
        self.port = port
    }

    /// How the server is called in messages: without credentials.
    var name: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)/\(database)" }  // characters: a colon
}
#endif
