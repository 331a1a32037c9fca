// SPDX-License-Identifier: Apache-2.0

#if Kafka
public import Martlet

/// Which topic of a Kafka cluster a ``KafkaLog`` is, how its records are read, and all bounds.
///
/// Give all nodes of a topic the same values, except for the times.
public struct KafkaLogConfiguration: Sendable {
    /// What a record means.
    public enum Map: String, CaseIterable, Sendable {
        /// Records as Martlet writes them. One without a key is skipped.
        case martlet
        /// Records of any producer: without a key, the topic of the event is the name of the Kafka topic.
        case raw
    }

    /// What the values of records are.
    public enum Encoding: String, CaseIterable, Sendable {
        /// Text. A record whose value is not UTF-8 is skipped.
        case utf8
        /// Any bytes. The data of the event is the value in Base64.
        case base64
    }

    /// The brokers to begin with: `host:port` each; the client library finds the others.
    public var servers: [String]
    public var topic: String
    /// Whether the topic may have more than one partition, up to ``mostPartitions``. All events of an event topic are in
    /// the same one.
    public var hasManyPartitions: Bool
    /// Whether nothing is ever published, so that no producer is made.
    public var isReadOnly: Bool
    public var map: Map
    public var encoding: Encoding
    /// Settings of librdkafka, by the names that its documentation has. Their values are never logged.
    public var properties: [(name: String, value: String)]

    /// The limits for records of other programs; records over them are skipped.
    public var limits: Limits
    /// The most records of a partition that the node keeps in memory. Clients that are within them are served without
    /// the brokers, and ids of publishers and idempotency keys are known within them. They are read when the log is
    /// opened.
    public var windowRecords: Int
    /// The most bytes of events of a partition that the node keeps in memory.
    public var windowBytes: Int
    /// The most topics of a partition whose last event in front of the window is remembered. Beyond it, the older half
    /// is forgotten.
    public var trimmedTopics: Int

    /// The compacted topic in which nodes keep what outlives the history of ``topic``: which topics have ended, who writes
    /// to them, when they expire, and the newest event of each key. `nil`: the name of the topic with `.state` behind it.
    /// Empty: there is none, and a node knows what its window says.
    public var stateTopic: String?
    /// The most topics that are remembered because they have ended, expire, or have a writer.
    public var topics: Int
    /// The most keys whose newest event is kept, and the most keys without a value that are remembered.
    public var stateKeys: Int
    /// The most bytes of these events.
    public var stateBytes: Int
    /// The time between two writes to the state topic. A node that starts reads what was published since the last.
    public var stateInterval: Duration
    /// After so many records without news, a node notes in the state topic how far it has read.
    public var checkpointRecords: Int

    /// How long the brokers may take to answer.
    public var requestTimeout: Duration
    /// The range of the wait before the next attempt to reach the brokers.
    public var retryDelay: ClosedRange<Duration>
    /// How long publishing, subscribing and reading history wait for brokers that are away.
    public var patience: Duration
    /// The time between two looks at the state of the topic.
    public var checkInterval: Duration

    /// The most events that are sent together; a publish is never split.
    public var groupEvents: Int
    /// The most bytes of events that are sent together.
    public var groupBytes: Int
    /// The most publishes that wait to be sent. Further ones fail.
    public var queuedPublishes: Int
    /// The most bytes of events that wait to be sent.
    public var queuedBytes: Int
    /// How many consumers read history, each on its own thread.
    public var readers: Int
    /// The most calls that wait for one of them. Further ones fail.
    public var queuedReads: Int
    /// The most bytes of events that are read from the topic before the hub takes them.
    public var tailBytes: Int

    /// The most partitions, so that a position fits into an id that browsers send back.
    public static let mostPartitions = 12

    public init(
        servers: [String] = ["127.0.0.1:9092"],
        topic: String = "martlet",
        hasManyPartitions: Bool = false,
        isReadOnly: Bool = false,
        map: Map = .martlet,
        encoding: Encoding = .utf8,
        properties: [(name: String, value: String)] = [],
        limits: Limits = Limits(),
        windowRecords: Int = 100_000,
        windowBytes: Int = 64 * 1024 * 1024,
        trimmedTopics: Int = 16_384,
        stateTopic: String? = nil,
        topics: Int = TopicBook.defaultCapacity,
        stateKeys: Int = 100_000,
        stateBytes: Int = 64 * 1024 * 1024,
        stateInterval: Duration = .seconds(1),
        checkpointRecords: Int = 10_000,
        requestTimeout: Duration = .seconds(5),
        retryDelay: ClosedRange<Duration> = .milliseconds(50)...Duration.seconds(2),
        patience: Duration = .seconds(2),
        checkInterval: Duration = .seconds(1),
        groupEvents: Int = 4096,
        groupBytes: Int = 4 * 1024 * 1024,
        queuedPublishes: Int = 10_000,
        queuedBytes: Int = 32 * 1024 * 1024,
        readers: Int = 4,
        queuedReads: Int = 20_000,
        tailBytes: Int = 8 * 1024 * 1024
    ) {
        self.servers = servers
        self.topic = topic
        self.hasManyPartitions = hasManyPartitions
        self.isReadOnly = isReadOnly
        self.map = map
        self.encoding = encoding
        self.properties = properties
        self.limits = limits
        self.windowRecords = windowRecords
        self.windowBytes = windowBytes
        self.trimmedTopics = trimmedTopics
        self.stateTopic = stateTopic
        self.topics = topics
        self.stateKeys = stateKeys
        self.stateBytes = stateBytes
        self.stateInterval = stateInterval
        self.checkpointRecords = checkpointRecords
        self.requestTimeout = requestTimeout
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

    /// The name of the topic in messages, without credentials.
    var name: String { "kafka://\(servers.joined(separator: ","))/\(topic)" }

    /// The configuration of clients of the state topic; `nil` if there is none.
    var ofStateTopic: KafkaLogConfiguration? {
        var configuration = self
        configuration.topic = stateTopic ?? topic + ".state"
        return configuration.topic.isEmpty ? nil : configuration
    }

    var stateBounds: StateFold.Bounds { .init(topics: topics, keys: stateKeys, bytes: stateBytes) }

    /// The longest name that Kafka allows.
    private static let mostTopicBytes = 249

    /// Checks the settings of librdkafka, and the name of the state topic.
    ///
    /// - Throws: ``KafkaLogError`` that names the setting.
    public func check() throws(KafkaLogError) {
        if let name = ofStateTopic?.topic {
            guard name != topic else {
                throw .invalidSetting(name: "state", reason: "it names the topic of the events. Give another name.")
            }
            guard name.utf8.count <= Self.mostTopicBytes else {
                throw .invalidSetting(
                    name: "state", reason: "the name is longer than \(Self.mostTopicBytes) bytes. Give a shorter one.")
            }
        }
        for role in KafkaClient.Role.allCases { try KafkaClient.check(role, self) }
    }
}

/// Why a ``KafkaLog`` cannot be opened, however long one waits, or works no more.
public enum KafkaLogError: Error, Equatable, CustomStringConvertible {
    /// librdkafka refuses a setting.
    case invalidSetting(name: String, reason: String)
    /// The topic has more than one partition, and the log was not told that it may.
    case manyPartitions(topic: String, count: Int)
    /// The topic has more partitions than a position can name.
    case tooManyPartitions(topic: String, count: Int)
    /// The number of partitions of the topic has changed.
    case otherPartitions(topic: String, count: Int, before: Int)
    /// The system starts no more threads.
    case noThread(String)
    /// The log was closed.
    case closed

    public var description: String {
        switch self {
        case .invalidSetting(let name, let reason): "The setting \(name) of the Kafka client: \(reason)"
        case .manyPartitions(let topic, let count):
            "The Kafka topic \(topic) has \(count) partitions, and order holds only within a partition. Use a topic with "
                + "one partition, or give ?partitions=many."
        case .tooManyPartitions(let topic, let count):
            "The Kafka topic \(topic) has \(count) partitions; at most \(KafkaLogConfiguration.mostPartitions) can be "
                + "followed. Use a topic with fewer."
        case .otherPartitions(let topic, let count, let before):
            "The Kafka topic \(topic) has \(count) partitions now, and had \(before). Restart all nodes."
        case .noThread(let message): message
        case .closed: "The log is closed."
        }
    }
}
#endif
