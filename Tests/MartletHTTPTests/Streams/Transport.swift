// SPDX-License-Identifier: Apache-2.0

import HummingbirdCore
import HummingbirdHTTP2
import HummingbirdTLS
import NIOSSL
import Testing

/// What an application may speak.
enum Transport: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case http1
    case tls
    case http2

    var testDescription: String { rawValue }

    var scheme: String { self == .http1 ? "http" : "https" }

    var server: HTTPServerBuilder {
        get throws {
            switch self {
            case .http1: .http1()
            case .tls: try .tls(.http1(), tlsConfiguration: Self.tlsConfiguration)
            case .http2: try .http2Upgrade(tlsConfiguration: Self.tlsConfiguration)
            }
        }
    }

    private static var tlsConfiguration: TLSConfiguration {
        get throws {
            try .makeServerConfiguration(
                certificateChain: NIOSSLCertificate.fromPEMBytes(Array(certificate.utf8)).map { .certificate($0) },
                privateKey: .privateKey(NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem)))
        }
    }

    /// Of localhost, signed by itself, for nothing but these tests.
    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBmjCCAUGgAwIBAgIUUM2XFN2R6dDaRa0mgZ3DqRntnUkwCgYIKoZIzj0EAwIw
        FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNzE5NTk1MVoYDzIxMjYxMTAz
        MTk1OTUxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
        PQMBBwNCAARmS3ePvmV5Y/T+KveYV09HuTwIBcQtuHSYxKpPs7jswtjqkP6NCQHZ
        46Hn14kNxM/R5T15V+XcnImkWmLnbALco28wbTAdBgNVHQ4EFgQUYZVNRk3wbYhU
        xY5Hu6UrwT44sQgwHwYDVR0jBBgwFoAUYZVNRk3wbYhUxY5Hu6UrwT44sQgwDwYD
        VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
        zj0EAwIDRwAwRAIgcKqMPH87QJCvrLLrA6ytLnR7wmwgYfdXrD74BzMoB2ECIHc3
        md0JuWwoTwm8DQPfCtxakeaPtvBJh0YLBt909Uhs
        -----END CERTIFICATE-----
        """

    private static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUNLMIvC63gW5rjs8
        VU3CLt69z8+DwBk5UDP0rwuXHjGhRANCAARmS3ePvmV5Y/T+KveYV09HuTwIBcQt
        uHSYxKpPs7jswtjqkP6NCQHZ46Hn14kNxM/R5T15V+XcnImkWmLnbALc
        -----END PRIVATE KEY-----
        """
}
