// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MartletOutgoing
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension EventSource {
    /// Why an event source has no connection. No reason contains a header, a query or the data of an event, so all are
    /// safe to log. The texts are for people and may change.
    public enum DisconnectReason: Hashable, Sendable, CustomStringConvertible {
        /// The server ended the stream.
        case ended
        /// The server answered 408, 425, 429 or 5xx.
        case answered(status: Int)
        /// Nothing arrived within ``Configuration/readTimeout``.
        case timedOut
        /// The name of this host has no address, or no name server answers.
        case unknownHost(String)
        /// TLS failed, for example because the certificate is not trusted or the server does not speak TLS.
        case tlsFailed(String)
        /// The connection was refused or reset, or the server does not speak HTTP.
        case failed(String)

        /// What happened, in one sentence.
        public var description: String {
            switch self {
            case .ended: "The stream has ended."
            case .answered(let status): "The server answered \(status)."
            case .timedOut: "Nothing arrived within the read timeout."
            case .unknownHost(let host): "The host \(host) is not known. Check its name, and this machine's DNS."
            case .tlsFailed(let reason): "There is no trusted connection: \(reason). Check the server's certificate."
            case .failed(let reason): "The connection failed: \(reason)."
            }
        }
    }
}

extension EventSource.DisconnectReason {
    /// The reason for an error of the connection. Of errors that may contain what was sent or received, only the type is
    /// shown.
    init(_ error: any Error) {
        self =
            switch error {
            case let error as NIOConnectionError where error.connectionErrors.isEmpty: .unknownHost(error.host)
            case let error as NIOConnectionError: .failed(Self.text(of: error.connectionErrors.map(\.error)))
            case NIOSSLError.handshakeFailed(let error): .tlsFailed(Self.errorName(in: "\(error)"))
            case let error as NIOSSLExtraError: .tlsFailed("\(error)")
            // The full description may contain header fields, and so credentials.
            case let error as HTTPClientError: .failed(error.shortDescription)
            case let error as IOError: .failed(Self.text(of: [error]))
            case is AnswerError, is ChannelError, is HTTPParserError, is NIOSSLError: .failed("\(error)")
            default: Self.platform(error) ?? .failed("\(type(of: error))")
            }
    }

    /// What the system says of the attempts to connect to each address of a host, each text once.
    private static func text(of errors: [any Error]) -> String {
        var texts: [String] = []
        for error in errors {
            let text = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            if !texts.contains(text) { texts.append(text) }
        }
        return texts.joined(separator: ", ")
    }

    /// The name that BoringSSL has for an error, without the place in its source.
    private static func errorName(in text: String) -> String {
        // characters: of a library
        guard let start = text.firstRange(of: "OPENSSL_internal:")?.upperBound else { return text }
        return String(text[start...].prefix { $0 != " " })
    }

    private static func platform(_ error: any Error) -> Self? {
        #if canImport(Network)
        if error is HTTPClient.NWTLSError { return .tlsFailed("\(error)") }
        #endif
        return nil
    }
}
