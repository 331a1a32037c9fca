// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
public import Martlet

/// Which topic of a broker a ``ServiceBusLog`` is, how its messages are read, and all bounds.
///
/// Give all nodes of a topic the same values, except for the subscription and the times.
public struct ServiceBusLogConfiguration: Sendable {
    /// How a node shows who it is.
    public enum Credentials: Sendable {
        /// SASL ANONYMOUS.
        case none
        /// SASL PLAIN. With Service Bus, the name and the text of a shared access key.
        case plain(user: String, password: String)
        /// Tokens that are signed with a shared access key of Service Bus, and renewed.
        case sharedAccessKey(name: String, key: String)
    }

    /// What the data of foreign messages are.
    public enum Encoding: String, CaseIterable, Sendable {
        /// Text. A message whose body is not UTF-8 is skipped.
        case utf8
        /// Any bytes. The data of the event is the body in Base64.
        case base64
    }

    public var host: String
    public var port: Int
    /// Whether the connection is encrypted with TLS.
    public var isEncrypted: Bool
    /// A file with the certificates of trusted authorities; `nil` for those of the system.
    public var authorities: String?
    public var credentials: Credentials
    /// The name of the topic: the address to publish to, if ``target`` is `nil`.
    public var topic: String
    /// The subscription of this node, which no other node or program uses.
    public var subscription: String
    /// The address to publish to, for brokers other than Service Bus.
    public var target: String?
    /// The address to receive from, for brokers other than Service Bus; `nil` for
    /// `topic/Subscriptions/subscription`.
    public var source: String?
    /// Whether nothing is ever published.
    public var isReadOnly: Bool
    public var encoding: Encoding

    /// The limits for messages of other programs; messages over them are skipped.
    public var limits: Limits
    /// The most messages that the broker sends before earlier ones are stored.
    public var credit: Int
    /// How long a token is valid.
    public var tokenLifetime: Duration
    /// How long the broker may take to answer.
    public var requestTimeout: Duration
    /// How long the broker may send nothing at all.
    public var idleTimeout: Duration
    /// The range of the wait before the next attempt to reach the broker.
    public var retryDelay: ClosedRange<Duration>
    /// How long publishing waits for a broker that is away.
    public var patience: Duration
    /// How long a client with an id that this node does not know waits for the event to arrive.
    public var lookupPatience: Duration
    /// The time between two looks at a connection on which nothing happens.
    public var checkInterval: Duration

    /// The most events that are sent together; a publish is never split.
    public var groupEvents: Int
    /// The most bytes of events that are sent together.
    public var groupBytes: Int
    /// The most publishes that wait to be sent. Further ones fail.
    public var queuedPublishes: Int
    /// The most bytes of events that wait to be sent.
    public var queuedBytes: Int

    public init(
        host: String = "127.0.0.1",
        port: Int = 5671,
        isEncrypted: Bool = true,
        authorities: String? = nil,
        credentials: Credentials = .none,
        topic: String = "martlet",
        subscription: String,
        target: String? = nil,
        source: String? = nil,
        isReadOnly: Bool = false,
        encoding: Encoding = .utf8,
        limits: Limits = Limits(),
        credit: Int = 512,
        tokenLifetime: Duration = .seconds(60 * 60),
        requestTimeout: Duration = .seconds(5),
        idleTimeout: Duration = .seconds(60),
        retryDelay: ClosedRange<Duration> = .milliseconds(50)...Duration.seconds(2),
        patience: Duration = .seconds(2),
        lookupPatience: Duration = .seconds(2),
        checkInterval: Duration = .seconds(1),
        groupEvents: Int = 512,
        groupBytes: Int = 1024 * 1024,
        queuedPublishes: Int = 10_000,
        queuedBytes: Int = 32 * 1024 * 1024
    ) {
        self.host = host
        self.port = port
        self.isEncrypted = isEncrypted
        self.authorities = authorities
        self.credentials = credentials
        self.topic = topic
        self.subscription = subscription
        self.target = target
        self.source = source
        self.isReadOnly = isReadOnly
        self.encoding = encoding
        self.limits = limits
        self.credit = credit
        self.tokenLifetime = tokenLifetime
        self.requestTimeout = requestTimeout
        self.idleTimeout = idleTimeout
        self.retryDelay = retryDelay
        self.patience = patience
        self.lookupPatience = lookupPatience
        self.checkInterval = checkInterval
        self.groupEvents = groupEvents
        self.groupBytes = groupBytes
        self.queuedPublishes = queuedPublishes
        self.queuedBytes = queuedBytes
    }

    var targetAddress: String { target ?? topic }
    var sourceAddress: String { source ?? "\(topic)/Subscriptions/\(subscription)" }
    /// Whether the broker counts the messages of a subscription, and shows those that are locked.
    var isServiceBus: Bool { source == nil }

    /// The name of the topic in messages, without credentials.
    var name: String { "\(isEncrypted ? "amqps" : "amqp")://\(host):\(port)/\(topic)" }
}

/// Why a ``ServiceBusLog`` cannot be opened, however long one waits, or works no more.
public enum ServiceBusLogError: Error, Equatable, CustomStringConvertible {
    /// The broker knows no such topic or subscription.
    case notFound(address: String, reason: String)
    /// The broker does not accept the credentials, or they do not suffice.
    case unauthorized(reason: String)
    /// The system starts no more threads.
    case noThread(String)
    /// The log was closed.
    case closed

    public var description: String {
        switch self {
        case .notFound(let address, let reason):
            "The broker has no \(address) (\(reason)). Create it before you start the node; each node needs its own "
                + "subscription."
        case .unauthorized(let reason): "The broker refuses the credentials: \(reason)"
        case .noThread(let message): message
        case .closed: "The log is closed."
        }
    }
}
#endif
