// SPDX-License-Identifier: Apache-2.0

import NIOSSL

/// A certificate for localhost that is not trusted.
enum SelfSigned {
    static var context: NIOSSLContext {
        get throws {
            try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: [.certificate(NIOSSLCertificate(bytes: Array(certificate.utf8), format: .pem))],
                    privateKey: .privateKey(NIOSSLPrivateKey(bytes: Array(key.utf8), format: .pem))))
        }
    }

    private static let certificate = """
        -----BEGIN CERTIFICATE-----
        MIIBfzCCASWgAwIBAgIUeyv2gYdTIEMe9LfGS6ZbUt5KVswwCgYIKoZIzj0EAwIw
        FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNzIwMDIxOFoYDzIxMjYxMTAz
        MjAwMjE4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
        PQMBBwNCAATceXD1kFi7zeJkgWdgQ9M4aThHZ6F5QSGYX3A2v2fRyA1RL5/xJhfE
        qPWNcyaqG32MdwOAj/bq7UIjr1xwbKmFo1MwUTAdBgNVHQ4EFgQUtDYnYeDqO81N
        SPDmMoNs8+3rJN8wHwYDVR0jBBgwFoAUtDYnYeDqO81NSPDmMoNs8+3rJN8wDwYD
        VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAOl0ncilyOp6r5IRgRgGM0
        fb4QnxfT0zwv7+oA4PUSYwIhAP/ADH4c7yTBgl+h4vA9f1kkkl8nCmPLXS1Nv1o/
        THry
        -----END CERTIFICATE-----
        """

    private static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgnLlrlj8RE88q/p/K
        mrM9xLdxHfsEdGKeLgoOj9mJmcKhRANCAATceXD1kFi7zeJkgWdgQ9M4aThHZ6F5
        QSGYX3A2v2fRyA1RL5/xJhfEqPWNcyaqG32MdwOAj/bq7UIjr1xwbKmF
        -----END PRIVATE KEY-----
        """
}
