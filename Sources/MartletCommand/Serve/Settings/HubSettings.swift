// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
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
    /// What an accepted event in a file survives.
    var durability = Durability.commit
    /// The bounds of history; `nil`: those of ``LogLocation/retention``.
    var historyEvents: Int?
    var historyBytes: Int?
    var historyAge: Duration?

    /// The bytes of encoded events in memory for live streams.
    var windowBytes = HubConfiguration().windowBytes
    /// The bytes of history in memory for streams that are catching up.
    var replayBudget = HubConfiguration().replayBytes
    /// How long a client may take nothing of what is written to it.
    var writeTimeout = HubConfiguration().writeTimeout
    /// How long a connection may send no request, and an unfinished request no more of its body.
    var idleTimeout = Duration.seconds(60)
    /// The bytes that a shard may still have to write before publishers wait; `nil`: half the window.
    var maxShardLag: Int?
    /// The most publishers that wait at the same time, and how long each waits.
    var publishQueue = PublishQueue().publishers
    var publishTimeout = PublishQueue().patience
    /// The number of threads that write to clients.
    var shards: Int

    var access = AccessSettings()

    /// The additional port for metrics and health; `nil`: none.
    var metricsPort: Int?
    /// The time over which open streams end on shutdown.
    var grace = HubConfiguration().grace
    /// Whether the hub publishes the metrics of this machine.
    var demo = false
    var logLevel = Logger.Level.info
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
        configuration.maximumConnectionAge = maxConnectionAge
        if let maxShardLag { configuration.maximumShardLag = maxShardLag }
        configuration.grace = grace
        configuration.startPatience = publishTimeout
        return configuration
    }

    var retention: Retention {
        var retention = log.retention
        if let historyEvents { retention.events = historyEvents }
        if let historyBytes { retention.bytes = historyBytes }
        if let historyAge { retention.age = historyAge }
        return retention
    }

    var publishQueueBounds: PublishQueue { PublishQueue(publishers: publishQueue, patience: publishTimeout) }
}
