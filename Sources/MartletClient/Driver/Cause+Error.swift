// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MartletOutgoing
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

extension EventSource.Cause {
    /// What an error of the connection comes to. Errors that may contain what was sent or received are told by their
    /// type only.
    init(_ error: any Error) {
        self =
            switch error {
            case let error as NIOConnectionError where error.connectionErrors.isEmpty: .unknownHost(error.host)
            case let error as NIOConnectionError:
                .failed(error.connectionErrors.map { "\($0.error)" }.joined(separator: ", "))
            case NIOSSLError.handshakeFailed(let error): .tlsFailed(Self.reason("\(error)"))
            case let error as NIOSSLExtraError: .tlsFailed("\(error)")
            // What describes these errors in full may contain header fields, and so credentials.
            case let error as HTTPClientError: .failed(error.shortDescription)
            case is AnswerError, is IOError, is ChannelError, is HTTPParserError, is NIOSSLError: .failed("\(error)")
            default: Self.platform(error) ?? .failed("\(type(of: error))")
            }
    }

    /// The name that BoringSSL has for a failure, without the places in its source.
    private static func reason(_ text: String) -> String {
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
