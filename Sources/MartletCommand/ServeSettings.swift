// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletSQLite

/// What `martlet serve` runs with: valid values, with their defaults.
struct ServeSettings: Equatable, Sendable {
    var host = "127.0.0.1"
    var port = 8080
    var heartbeat = HubConfiguration().heartbeat
    /// Where history is kept.
    var log = LogLocation.memory
    /// What an accepted event survives, where history is in a file.
    var durability = Durability.commit
    /// How much of it is kept; `nil`: what ``LogLocation/retention`` says.
    var historyEvents: Int?
    var historyBytes: Int?
    var historyAge: Duration?
    /// Bytes of encoded events kept in memory for live streams.
    var windowBytes = HubConfiguration().windowBytes
    /// Bytes that a shard may have to write before publishers wait; `nil`: half the window.
    var maxShardLag: Int?
    /// How many publishers wait at the same time.
    var publishQueue = PublishQueue().publishers
    /// How long a publisher waits.
    var publishTimeout = PublishQueue().patience
    var maxConnections: Int
    var maxConnectionAge = HubConfiguration().maximumConnectionAge
    /// How many threads write to clients.
    var shards: Int
    /// How long a client may take nothing of what is written to it.
    var writeTimeout = HubConfiguration().writeTimeout
    /// How long a connection may be without a request, and a request without more of its body.
    var idleTimeout = Duration.seconds(60)
    /// Bytes of history in memory for streams that catch up.
    var replayBudget = HubConfiguration().replayBytes
    /// How long the streams are given to end at shutdown.
    var grace = HubConfiguration().grace
    /// The port on which metrics and health are served besides; `nil`: none.
    var metricsPort: Int?
    /// Whether this machine's metrics are published.
    var demo = false
    /// Who may do what.
    var access = AccessSettings()
    var logLevel = Logger.Level.info
    /// The settings file that was read.
    var configFile: String?

    /// The defaults.
    ///
    /// - Parameter descriptorLimit: The limit on open descriptors; connections leave ``spareDescriptors`` of them.
    init(descriptorLimit: Int) {
        shards = HubConfiguration().shards
        maxConnections = min(max(descriptorLimit - Self.spareDescriptors, 1), Self.mostConnections)
    }

    /// The defaults with a round number of connections, from which help and error messages take their examples.
    static let example = ServeSettings(descriptorLimit: 10_000 + spareDescriptors)

    private static let spareDescriptors = 512
    private static let mostConnections = Int(Int32.max)

    /// The name of the setting that names the settings file, and so cannot stand in it.
    static let fileSetting = "config"
    /// What the names of the environment variables begin with.
    static let variablePrefix = "MARTLET_"

    /// The settings in the order of the help. A default comes from the field.
    static let table = hubTable + accessTable + commandTable

    private static let hubTable = [
        Setting("host", \.host, .host, help: "Interface to listen on, a loopback one unless there are keys"),
        Setting("port", \.port, .count(0...65_535), help: "Port to listen on, 0 for a free one"),
        Setting(
            "heartbeat", \.heartbeat, .duration(.milliseconds(100) ... .seconds(3600)),
            help: "Time between heartbeats on a stream"),
        Setting("log", \.log, .log, help: "Where history is kept"),
        Setting(
            "durability", \.durability, .durability,
            help: "What an accepted event survives in a file, a failure of the power too or only of the process"),
        Setting(
            "history-events", \.historyEvents, .optional(.count(1...1_000_000_000), example: 100_000),
            default: "100000, in a file 1000000",
            help: "Events kept for streams that resume"),
        Setting(
            "history-bytes", \.historyBytes, .optional(.bytes((64 << 10)...(1 << 40)), example: 64 << 20),
            default: "64MiB, in a file 1GiB",
            help: "Bytes of events kept for streams that resume"),
        Setting(
            "history-age", \.historyAge,
            .optional(.duration(.seconds(1) ... .seconds(365 * 86_400)), example: .seconds(86_400)),
            default: "24h, in a file 7d",
            help: "Age up to which events are kept for streams that resume"),
        Setting(
            "window-bytes", \.windowBytes, .bytes((64 << 10)...(1 << 40)),
            help: "Bytes of encoded events kept in memory for live streams"),
        Setting(
            "max-connections", \.maxConnections, .count(1...mostConnections),
            default: "the descriptor limit less \(spareDescriptors)",
            help: "Connections open at the same time"),
        Setting(
            "max-connection-age", \.maxConnectionAge, .duration(.seconds(1) ... .seconds(365 * 86_400)),
            help: "Age after which a stream is ended, for its client to come back"),
        Setting(
            "max-shard-lag", \.maxShardLag, .optional(.bytes((64 << 10)...(1 << 40)), example: 16 << 20),
            default: "half of window-bytes",
            help: "Bytes that may wait to be written before publishers wait"),
        Setting(
            "publish-queue", \.publishQueue, .count(0...1_000_000),
            help: "Publishers that wait at the same time when streams do not keep up"),
        Setting(
            "publish-timeout", \.publishTimeout, .duration(.zero ... .seconds(3600)),
            help: "Time that a publisher waits before it is refused"),
        Setting(
            "metrics-port", \.metricsPort, .optional(.count(0...65_535), example: 9090), default: "none",
            help: "Another port for /metrics and /health, which are on both then"),
        Setting(
            "grace", \.grace, .duration(.zero ... .seconds(3600)),
            help: "Time over which streams are ended at shutdown"),
        Setting(
            "shards", \.shards, .count(0...1024), default: "the processors that may be used",
            help: "Threads that write to clients, 0 to leave that to the connections' event loops"),
        Setting(
            "write-timeout", \.writeTimeout, .duration(.seconds(1) ... .seconds(3600)),
            help: "Time after which a client that takes nothing is disconnected"),
        Setting(
            "idle-timeout", \.idleTimeout, .duration(.seconds(1) ... .seconds(3600)),
            help: "Time after which a connection is closed that sends no request, or too little of one"),
        Setting(
            "replay-budget", \.replayBudget, .bytes((2 << 20)...(1 << 40)),
            help: "Bytes of history in memory for streams that catch up"),
    ]

    private static let commandTable = [
        Setting("demo", \.demo, .flag, help: "Publish this machine's CPU, memory and load to topic system/metrics"),
        Setting("log-level", \.logLevel, .logLevel, help: "Least severe level to log"),
        Setting(
            fileSetting, \.configFile, .optional(.file, example: "hub.json"), default: "none",
            help: "JSON file of settings, keyed by option name"),
    ]
}
