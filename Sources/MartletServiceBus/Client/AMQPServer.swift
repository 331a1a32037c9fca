// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Crypto
import MartletSupport

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// How to connect to a broker.
struct AMQPServer: Sendable {
    var host: String
    var port: Int
    var isEncrypted: Bool
    /// A file with the certificates of trusted authorities; `nil` for those of the system.
    var authorities: String?
    /// `nil`: SASL ANONYMOUS.
    var login: (user: String, password: String)?
    /// The name of this client for the broker.
    var container: String
    /// How long the broker may send nothing, in milliseconds.
    var idleTimeout: UInt32

    /// Where systems keep the certificates of trusted authorities: Debian, Red Hat, macOS.
    private static let authorityFiles = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
    ]

    static var systemAuthorities: String? { authorityFiles.first { access($0, R_OK) == 0 } }
}

/// A key of a Service Bus namespace, and the tokens that are signed with it (shared access signatures).
struct SharedAccessKey: Equatable, Sendable {
    var name: String
    /// Secret.
    var key: String

    /// - Parameters:
    ///   - audience: What the token is for: `sb://host/topic`.
    ///   - end: When it ends, in seconds since 1970.
    func token(for audience: String, until end: Int64) -> String {
        let resource = Self.percentEncoded(audience)
        let code = HMAC<SHA256>.authenticationCode(
            for: Array("\(resource)\n\(end)".utf8), using: SymmetricKey(data: Array(key.utf8)))
        let signature = Array(code).withUnsafeBytes { Base64.text($0) }
        return
            "SharedAccessSignature sr=\(resource)&sig=\(Self.percentEncoded(signature))&se=\(end)&skn=\(Self.percentEncoded(name))"
    }

    /// Everything but letters, digits and `-._~`.
    private static func percentEncoded(_ text: String) -> String {
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            let isLetter = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            if isLetter || byte.isDigit || "-._~".utf8.contains(byte) {
                encoded.append(byte)
            } else {
                encoded += "%".utf8
                encoded += byte.hexText.utf8.map { $0.isDigit ? $0 : $0 & ~0x20 }
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }
}

enum WallClock {
    /// Since 1970.
    static var seconds: Int64 { Int64(time(nil)) }
}

/// Shows tokens to the broker on a connection, and new ones before they end (AMQP claims-based security).
final class TokenRenewal {
    private let key: SharedAccessKey
    private let audience: String
    private let lifetime: Duration
    private let requests: AMQPRequests
    private var renewal = ContinuousClock.now

    /// The part of its lifetime after which a token is renewed.
    private static let renewalPart = 0.75

    init(
        _ key: SharedAccessKey, for audience: String, lifetime: Duration, on connection: AMQPConnection,
        within time: Duration
    ) throws {
        self.key = key
        self.audience = audience
        self.lifetime = lifetime
        requests = try AMQPRequests(to: "$cbs", on: connection, within: time)
        try renew(within: time)
    }

    /// Shows a new token if it is time.
    ///
    /// - Throws: ``AMQPRefusal`` if the broker does not take it.
    func renew(within time: Duration) throws {
        guard .now >= renewal else { return }
        let seconds = WallClock.seconds + lifetime.components.seconds
        var request = AMQPMessage(.value(.string(key.token(for: audience, until: seconds))))
        request.properties = [
            ("operation", .string("put-token")), ("type", .string("servicebus.windows.net:sastoken")),
            ("name", .string(audience)), ("expiration", .timestamp(seconds * 1000)),
        ]
        let answer = try requests.ask(request, within: time)
        let status = answer.number("status-code") ?? 0
        guard (200..<300).contains(status) else {
            let reason = answer.text("status-description") ?? ""
            throw AMQPRefusal(name: "amqp:unauthorized-access", text: "The token was refused (\(status)): \(reason)")
        }
        renewal = .now + lifetime * Self.renewalPart
    }
}
#endif
