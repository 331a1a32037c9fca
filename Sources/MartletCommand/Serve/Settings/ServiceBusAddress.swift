// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// The address of a topic of Azure Service Bus, or of another broker that speaks AMQP 1.0:
/// `amqps://[user:password@]host[:port]/topic[?auth=token][&encoding=base64][&ca=FILE][&target=ADDRESS&source=ADDRESS]`,
/// or a connection string: `Endpoint=sb://host/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=topic`.
///
/// With Service Bus, user and password are the name and the text of a shared access key.
struct ServiceBusAddress: Equatable, Sendable {
    static let encryptedPrefix = "amqps://"
    static let plainPrefix = "amqp://"
    private static let ports = (encrypted: 5671, plain: 5672)
    /// What stands for the name of the node in the address of a source.
    private static let nodePlaceholder = "{node}"

    var server = ServerAddress(host: "", port: 0)
    var isEncrypted = true
    var topic = ""
    var credentials: ServerCredentials?
    /// Whether the credentials are a key that signs tokens, rather than a user and a password.
    var hasTokens = false
    var isBase64 = false
    /// A file with the certificates of trusted authorities.
    var authorities: String?
    /// The address to publish to, if it is not the topic.
    var target: String?
    /// The address to receive from, if it is not a subscription of the topic.
    var source: String?

    init?(_ text: String) {
        if let rest = text.cutting(prefix: Self.encryptedPrefix) {
            self.init(rest, isEncrypted: true)
        } else if let rest = text.cutting(prefix: Self.plainPrefix) {
            self.init(rest, isEncrypted: false)
        } else if Self.isConnectionString(text) {
            self.init(connectionString: text)
        } else {
            return nil
        }
    }

    /// Whether a text has a field that only connection strings have.
    static func isConnectionString(_ text: String) -> Bool {
        let bytes = text.utf8.map(\.asciiLowercased)
        return ["sharedaccesskey", "endpoint="].contains { bytes.firstRange(of: $0.utf8) != nil }
    }

    private init?(_ text: Substring, isEncrypted: Bool) {
        self.isEncrypted = isEncrypted
        let parts = text.splitExactly(at: UInt8(ascii: "?"), maxSplits: 1)
        guard let (authority, topic) = parts[0].cutExactly(at: UInt8(ascii: "/")),
            let (credentials, host) = ServerCredentials.split(authority),
            let server = ServerAddress(host, defaultPort: isEncrypted ? Self.ports.encrypted : Self.ports.plain),
            let topic = topic.percentDecodedText, Self.isAddress(topic)
        else { return nil }
        (self.server, self.credentials, self.topic) = (server, credentials, topic)
        guard credentials.map({ $0.username != nil }) ?? true, parts.count < 2 || readQuery(parts[1]) else {
            return nil
        }
        guard (target == nil) == (source == nil), !hasTokens || credentials != nil else { return nil }
    }

    /// What a connection string may have. `TransportType` is accepted, and has no effect.
    private static let fieldNames = [
        "Endpoint", "SharedAccessKeyName", "SharedAccessKey", "EntityPath", "UseDevelopmentEmulator", "TransportType",
    ]

    /// The parts of a connection string have no escapes, and a key may contain `=`.
    private init?(connectionString text: String) {
        var fields: [String: String] = [:]
        for part in text.splitExactly(at: UInt8(ascii: ";")) where !part.isEmpty {
            guard let (name, value) = part.cutExactly(at: UInt8(ascii: "=")),
                let name = Self.fieldNames.first(where: { name.isExactlyIgnoringCase($0) }),
                fields.updateValue(String(value), forKey: name) == nil
            else { return nil }
        }
        guard let endpoint = fields["Endpoint"], let topic = fields["EntityPath"], Self.isAddress(topic),
            let name = fields["SharedAccessKeyName"], let key = fields["SharedAccessKey"], !name.isEmpty, !key.isEmpty
        else { return nil }
        isEncrypted = fields["UseDevelopmentEmulator"]?.isExactlyIgnoringCase("true") != true
        guard let host = endpoint.cutting(prefix: "sb://")?.splitExactly(at: UInt8(ascii: "/")).first,
            let server = ServerAddress(host, defaultPort: isEncrypted ? Self.ports.encrypted : Self.ports.plain)
        else { return nil }
        (self.server, self.topic, hasTokens) = (server, topic, true)
        credentials = ServerCredentials(username: name, password: SecretText(text: key))
    }

    private static func isAddress(_ text: String) -> Bool {
        (1...260).contains(text.utf8.count) && !text.hasControlCharacters
    }

    private mutating func readQuery(_ text: Substring) -> Bool {
        guard let fields = queryFields(text) else { return false }
        return fields.allSatisfy { name, value in
            switch name {
            case "auth":
                hasTokens = value.isExactly("token")
                return hasTokens || value.isExactly("plain")
            case "encoding":
                isBase64 = value.isExactly("base64")
                return isBase64 || value.isExactly("utf8")
            case "ca":
                authorities = value
                return !value.isEmpty && !value.containsExactly(0)
            case "target":
                target = value
                return Self.isAddress(value)
            case "source":
                source = value
                return Self.isAddress(value)
            default: return false
            }
        }
    }

    /// The address to receive from on a node; `nil` for a subscription of Service Bus.
    func source(of node: String) -> String? { source?.replacing(Self.nodePlaceholder, with: node) }

    /// The address without credentials.
    var text: String {
        let options = [
            hasTokens ? "auth=token" : nil, isBase64 ? "encoding=base64" : nil,
            target.map { "target=\($0)" }, source.map { "source=\($0)" },
        ].compactMap(\.self)
        let query = options.isEmpty ? "" : "?" + options.joined(separator: "&")
        return "\(isEncrypted ? Self.encryptedPrefix : Self.plainPrefix)\(server.text)/\(topic)\(query)"
    }
}
