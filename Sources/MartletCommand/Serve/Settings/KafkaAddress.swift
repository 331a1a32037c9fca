// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// The address of a topic of a Kafka cluster:
/// `kafka://[user:password@]host[:port][,host[:port]…]/topic[?partitions=many][&map=raw][&encoding=base64][&state=topic][&SETTING=value…]`.
///
/// User and password are `sasl.username` and `sasl.password`. A `SETTING` is one of librdkafka; all of them have a dot in
/// their name, or are `debug`.
struct KafkaAddress: Equatable, Sendable {
    static let prefix = "kafka://"
    private static let defaultPort = 9092
    private static let mostTopicBytes = 249

    var servers: [ServerAddress] = []
    var topic = ""
    var hasManyPartitions = false
    var isRaw = false
    var isBase64 = false
    /// The name of the state topic; `nil` for the usual one, empty for none.
    var stateTopic: String?
    /// The settings of librdkafka, in their order. Any of them may be a secret.
    var properties: [Property] = []

    struct Property: Equatable, Sendable {
        var name: String
        var value: SecretText
    }

    init?(_ text: String) {
        guard let rest = text.cutting(prefix: Self.prefix) else { return nil }
        let parts = rest.splitExactly(at: UInt8(ascii: "?"), maxSplits: 1)
        guard let (authority, topic) = parts[0].cutExactly(at: UInt8(ascii: "/")),
            let (credentials, list) = ServerCredentials.split(authority), Self.isTopic(topic)
        else { return nil }
        self.topic = String(topic)
        if let credentials {
            guard let username = credentials.username else { return nil }
            properties.append(Property(name: "sasl.username", value: SecretText(text: username)))
            properties.append(Property(name: "sasl.password", value: credentials.password))
        }
        for server in list.splitExactly(at: UInt8(ascii: ",")) {
            guard let server = ServerAddress(server, defaultPort: Self.defaultPort) else { return nil }
            servers.append(server)
        }
        guard parts.count < 2 || readQuery(parts[1]) else { return nil }
    }

    /// Whether Kafka allows the name (`Topic.java`): 1 to 249 ASCII letters, digits, dots, underscores and hyphens.
    private static func isTopic(_ name: Substring) -> Bool {
        (1...mostTopicBytes).contains(name.utf8.count) && name != "." && name != ".."
            && name.utf8.allSatisfy { byte in
                byte.isDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                    || "._-".utf8.contains(byte)
            }
    }

    private mutating func readQuery(_ text: Substring) -> Bool {
        guard let fields = queryFields(text) else { return false }
        return fields.allSatisfy { name, value in
            switch name {
            case "partitions":
                hasManyPartitions = value.isExactly("many")
                return hasManyPartitions || value.isExactly("1")
            case "map":
                isRaw = value.isExactly("raw")
                return isRaw || value.isExactly("martlet")
            case "encoding":
                isBase64 = value.isExactly("base64")
                return isBase64 || value.isExactly("utf8")
            case "state":
                stateTopic = value
                return value.isEmpty || Self.isTopic(Substring(value))
            default:
                guard name.containsExactly(UInt8(ascii: ".")) || name.isExactly("debug") else { return false }
                properties.append(Property(name: name, value: SecretText(text: value)))
                return true
            }
        }
    }

    /// The address without the settings of librdkafka.
    var text: String {
        let options = [
            hasManyPartitions ? "partitions=many" : nil, isRaw ? "map=raw" : nil, isBase64 ? "encoding=base64" : nil,
            stateTopic.map { "state=\($0)" },
        ].compactMap(\.self)
        let query = options.isEmpty ? "" : "?" + options.joined(separator: "&")
        return "\(Self.prefix)\(servers.map(\.text).joined(separator: ","))/\(topic)\(query)"
    }

    /// Whether a setting is a secret, as far as names tell.
    var hasPassword: Bool {
        properties.contains { property in
            ["password", "secret", "key.pem", "oauthbearer.config"].contains { property.name.utf8.contains($0.utf8) }
        }
    }
}
