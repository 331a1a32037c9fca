// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletSQLite
import MartletSupport

#if Kafka
import MartletKafka
#endif
#if Redis
import MartletRedis
#endif
#if ServiceBus
import MartletServiceBus
#endif

/// The place for history: `memory`, `sqlite:PATH`, `redis://HOST`, `kafka://HOST/TOPIC` or `amqps://HOST/TOPIC`.
enum LogLocation: Equatable, Sendable {
    case memory
    case sqlite(path: String)
    case redis(RedisAddress)
    case kafka(KafkaAddress)
    case serviceBus(ServiceBusAddress)

    private static let sqlitePrefix = "sqlite:"

    init?(_ text: String) {
        if text.isExactly("memory") {
            self = .memory
        } else if let path = text.cutting(prefix: Self.sqlitePrefix), !path.isEmpty, !path.containsExactly(0) {
            self = .sqlite(path: String(path))
        } else if let address = RedisAddress(text) {
            self = .redis(address)
        } else if let address = KafkaAddress(text) {
            self = .kafka(address)
        } else if let address = ServiceBusAddress(text) {
            self = .serviceBus(address)
        } else {
            return nil
        }
    }

    /// The location without a password.
    var text: String {
        switch self {
        case .memory: "memory"
        case .sqlite(let path): Self.sqlitePrefix + path
        case .redis(let address): address.text
        case .kafka(let address): address.text
        case .serviceBus(let address): address.text
        }
    }

    /// The default bounds of history.
    var retention: Retention {
        switch self {
        case .memory, .redis, .kafka: Retention()
        case .sqlite, .serviceBus: .sqlite
        }
    }

    /// Whether nodes share the log.
    var isShared: Bool {
        switch self {
        case .memory, .sqlite: false
        case .redis, .kafka, .serviceBus: true
        }
    }

    /// Whether the text that was parsed contains a password.
    var hasPassword: Bool {
        switch self {
        case .memory, .sqlite: false
        case .redis(let address): address.password != nil
        case .kafka(let address): address.hasPassword
        case .serviceBus(let address): address.credentials != nil
        }
    }

    /// - Throws: ``SettingsError`` if this build does not support the location, or a setting in it.
    func check() throws(SettingsError) {
        switch self {
        case .memory, .sqlite: break
        case .redis(let address):
            #if Redis
            if address.isEncrypted {
                throw SettingsError(
                    "log: this build has no TLS for Redis; use redis:// through a tunnel (stunnel, a sidecar) or in a "
                        + "private network")
            }
            #else
            throw .needs(trait: "Redis", library: "libhiredis-dev", for: address.text)
            #endif
        case .kafka(let address):
            #if Kafka
            do { try address.configuration.check() } catch { throw SettingsError("log: \(error)") }
            #else
            throw .needs(trait: "Kafka", library: "librdkafka-dev", for: address.text)
            #endif
        case .serviceBus(let address):
            #if ServiceBus
            break
            #else
            throw .needs(trait: "ServiceBus", library: "libqpid-proton11-dev", for: address.text)
            #endif
        }
    }
}

extension SettingsError {
    fileprivate static func needs(trait: String, library: String, for address: String) -> SettingsError {
        SettingsError(
            "log: this build has no support for \(address); install the library (apt-get install \(library)) and build "
                + "with it: swift run -c release --traits \(trait) martlet serve --log …")
    }
}

extension HubSettings {
    func makeLog(_ logger: Logger) -> any Log {
        switch log {
        case .memory:
            return MemoryLog(retention: retention, rules: rules, queue: publishQueueBounds, topics: rememberedTopics)
        case .sqlite(let path):
            return makeFile(path, logger)
        case .redis(let address):
            #if Redis
            var configuration = address.configuration
            configuration.retention = retention
            configuration.topics = rememberedTopics
            configuration.stateKeys = stateKeys
            configuration.stateBytes = stateBytes
            configuration.queuedPublishes = publishQueue
            configuration.patience = publishTimeout
            return RedisLog(configuration, logger: logger)
            #else
            preconditionFailure("\(address.text) is refused when settings are checked")
            #endif
        case .kafka(let address):
            #if Kafka
            var configuration = address.configuration
            configuration.isReadOnly = access.readOnly
            configuration.windowRecords = retention.events
            configuration.windowBytes = retention.bytes
            configuration.topics = rememberedTopics
            configuration.stateKeys = stateKeys
            configuration.stateBytes = stateBytes
            configuration.queuedPublishes = publishQueue
            configuration.patience = publishTimeout
            return KafkaLog(configuration, logger: logger)
            #else
            preconditionFailure("\(address.text) is refused when settings are checked")
            #endif
        case .serviceBus(let address):
            #if ServiceBus
            guard let node, case .sqlite(let path) = store else {
                preconditionFailure("settings without node and store are refused when they are checked")
            }
            var configuration = address.configuration(of: node)
            configuration.isReadOnly = access.readOnly
            configuration.queuedPublishes = publishQueue
            configuration.patience = publishTimeout
            return ServiceBusLog(configuration, store: makeFile(path, logger), logger: logger)
            #else
            preconditionFailure("\(address.text) is refused when settings are checked")
            #endif
        }
    }

    private func makeFile(_ path: String, _ logger: Logger) -> SQLiteLog {
        SQLiteLog(
            path: path, durability: durability, retention: retention, rules: rules, queue: publishQueueBounds,
            topics: rememberedTopics, stateKeys: stateKeys, stateBytes: stateBytes, logger: logger)
    }

    /// Whether nodes can tell each other things: where they share a log that this one may write to.
    var hasBoards: Bool {
        switch log {
        case .memory, .sqlite: false
        case .redis: true
        case .kafka, .serviceBus: !access.readOnly
        }
    }

    /// How nodes that share the log know each other, with an interval.
    func exchange(every interval: Duration) -> ExchangeConfiguration {
        var exchange = ExchangeConfiguration()
        exchange.interval = interval
        switch log {
        case .memory, .sqlite, .redis: break
        case .kafka:
            // The brokers keep it as long as events.
            exchange.bytesPerSecond = Self.exchangedBytesPerSecond
        case .serviceBus:
            exchange.bytesPerSecond = Self.exchangedBytesPerSecond
            // Each sign of life is a message to all nodes, which costs money there.
            exchange.expiry = .seconds(60)
        }
        return exchange
    }

    private static let exchangedBytesPerSecond = 64 * 1024

    /// A board for nodes that share a log; `nil` if they cannot have one (``hasBoards``).
    ///
    /// - Parameters:
    ///   - name: What the nodes exchange there.
    ///   - log: What ``makeLog(_:)`` has made.
    func makeBoard(_ name: String, on log: any Log) -> (any NodeBoard & OneTimeStore & NodeChannel)? {
        guard hasBoards else { return nil }
        #if Redis
        if case .redis(let address) = self.log { return RedisBoard(address.configuration, name: name) }
        #endif
        return (log as? any NoticeLog).map { LogBoard(on: $0, name: name) }
    }
}

#if Redis
extension RedisAddress {
    /// A configuration with this address and the defaults.
    fileprivate var configuration: RedisLogConfiguration {
        RedisLogConfiguration(
            host: host, port: port, username: username, password: password?.text, database: database, stream: stream)
    }
}
#endif

#if Kafka
extension KafkaAddress {
    /// A configuration with this address and the defaults.
    fileprivate var configuration: KafkaLogConfiguration {
        KafkaLogConfiguration(
            servers: servers.map(\.text), topic: topic, hasManyPartitions: hasManyPartitions,
            map: isRaw ? .raw : .martlet, encoding: isBase64 ? .base64 : .utf8,
            properties: properties.map { ($0.name, $0.value.text) }, stateTopic: stateTopic)
    }
}
#endif

#if ServiceBus
extension ServiceBusAddress {
    /// A configuration with this address and the defaults.
    fileprivate func configuration(of node: String) -> ServiceBusLogConfiguration {
        var login = ServiceBusLogConfiguration.Credentials.none
        if let credentials {
            let (name, secret) = (credentials.username ?? "", credentials.password.text)
            login = hasTokens ? .sharedAccessKey(name: name, key: secret) : .plain(user: name, password: secret)
        }
        return ServiceBusLogConfiguration(
            host: server.host, port: server.port, isEncrypted: isEncrypted, authorities: authorities,
            credentials: login,
            topic: topic, subscription: node, target: target, source: source(of: node),
            encoding: isBase64 ? .base64 : .utf8)
    }
}
#endif
