// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletHTTP
import MartletSQLite

/// The settings of `martlet serve`: valid values, with their defaults. ``HubSettings/table`` has the option for each.
struct HubSettings: Equatable, Sendable {
    var host = ListenAddress.interface("127.0.0.1")
    var port = 8080
    var maxConnections: Int
    var maxConnectionAge = HubConfiguration().maximumConnectionAge
    var heartbeat = HubConfiguration().heartbeat

    /// The place for history.
    var log = LogLocation.memory
    /// The file in which this node keeps what it receives from a log that does not keep history.
    var store: LogLocation?
    /// The name of this node: of its subscription.
    var node: String?
    /// What an accepted event in a file survives.
    var durability = Durability.commit
    /// The bounds of history; `nil`: those of ``LogLocation/retention``.
    var historyEvents: Int?
    var historyBytes: Int?
    var historyAge: Duration?
    /// The most topics that have ended, expire, or have a writer.
    var rememberedTopics = HubConfiguration().rememberedTopics
    /// The bounds of current values.
    var stateKeys = HubConfiguration().stateKeys
    var stateBytes = HubConfiguration().stateBytes
    /// The topics of which only the newest value of each key counts.
    var latestTopics: [TopicSelector] = []
    /// The topics whose slow subscribers skip what they have missed.
    var skippedTopics: [TopicSelector] = []
    /// The bounds of single topics.
    var rules: RetentionRules = []

    /// The bytes of encoded events in memory for live streams.
    var windowBytes = HubConfiguration().windowBytes
    /// The bytes of history in memory for streams that are catching up.
    var replayBudget = HubConfiguration().replayBytes
    /// How long a client may take nothing of what is written to it.
    var writeTimeout = HubConfiguration().writeTimeout
    /// How long a connection may send no request, and an unfinished request no more of its body.
    var idleTimeout = Duration.seconds(60)
    /// How long a live upload may send nothing.
    var uploadTimeout = Duration.seconds(300)
    /// The bytes that a shard may still have to write before publishers wait; `nil`: half the window.
    var maxShardLag: Int?
    /// The most publishers that wait at the same time, and how long each waits.
    var publishQueue = PublishQueue().publishers
    var publishTimeout = PublishQueue().patience
    /// The number of threads that write to clients.
    var shards: Int

    /// The most topics of one subscription.
    var maxTopicsPerSubscription = Limits().topicsPerSubscription

    /// The limits of single clients.
    var clients = ClientLimits()
    /// The proxies that are believed when they name the address of a client.
    var trustedProxies = TrustedProxies.none
    /// Whether each connection from one of them begins with a header of the PROXY protocol.
    var proxyProtocol = false

    var access = AccessSettings()
    var hooks = HookSettings()

    /// The additional port for metrics and health; `nil`: none.
    var metricsPort: Int?
    /// The time over which open streams end on shutdown.
    var grace = HubConfiguration().grace
    /// Whether the hub publishes the metrics of this machine.
    var demo = false
    var logLevel = Logger.Level.info
    /// How a line of the log is written.
    var logFormat = LogFormat.text
    /// Whether the end of each stream is logged.
    var accessLog = false
    /// The settings file that was read.
    var configFile: String?

    /// The defaults.
    ///
    /// - Parameter descriptorLimit: The limit on open descriptors, of which connections leave ``spareDescriptors``.
    init(descriptorLimit: Int) {
        shards = HubConfiguration().shards
        maxConnections = min(max(descriptorLimit - Self.spareDescriptors, 1), Self.mostConnections)
    }

    /// The defaults with a round number of connections: the examples in help and error messages.
    static let example = HubSettings(descriptorLimit: 10_000 + spareDescriptors)

    static let spareDescriptors = 512
    static let mostConnections = Int(Int32.max)
}

extension HubSettings {
    var hubConfiguration: HubConfiguration {
        var configuration = HubConfiguration()
        configuration.heartbeat = heartbeat
        configuration.windowBytes = windowBytes
        configuration.shards = shards
        configuration.writeTimeout = writeTimeout
        configuration.replayBytes = replayBudget
        configuration.rememberedTopics = rememberedTopics
        configuration.stateKeys = stateKeys
        configuration.stateBytes = stateBytes
        configuration.latestTopics = Set(latestTopics)
        configuration.skippedTopics = Set(skippedTopics)
        configuration.maximumConnectionAge = maxConnectionAge
        if let maxShardLag { configuration.maximumShardLag = maxShardLag }
        configuration.grace = grace
        configuration.startPatience = publishTimeout
        configuration.limits.topicsPerSubscription = maxTopicsPerSubscription
        configuration.clients = clients
        return configuration
    }

    var retention: Retention {
        var retention = log.retention
        if let historyEvents { retention.events = historyEvents }
        if let historyBytes { retention.bytes = historyBytes }
        if let historyAge { retention.age = historyAge }
        return retention
    }

    var proxies: TrustedProxies {
        var proxies = trustedProxies
        proxies.sendProxyHeader = proxyProtocol
        return proxies
    }

    var publishQueueBounds: PublishQueue { PublishQueue(publishers: publishQueue, patience: publishTimeout) }
}
