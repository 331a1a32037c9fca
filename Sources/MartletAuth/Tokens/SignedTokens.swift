// SPDX-License-Identifier: Apache-2.0

import Crypto
import MartletHTTP
import Synchronization

/// Tokens whose signatures were checked in the last minutes, so that a client that sends its token again is judged sooner.
///
/// It saves decoding the token and checking its signature, and nothing else: whoever finds a token here has to check that
/// its key is still in use, and all rules at the present time. Of the token itself, only a digest is kept.
final class SignedTokens: Sendable {
    struct Content: Sendable {
        /// The key that made the signature.
        let key: VerificationKey
        let header: TokenHeader
        let claims: JSONValue
    }

    /// The most tokens, and the most bytes of each.
    private static let capacity = 1024
    private static let maximumBytes = 2048
    private static let timeToLive = Duration.seconds(300)

    private let tokens = Mutex(GenerationCache<SHA256Digest, Content, ContinuousClock.Instant>(capacity: capacity))

    /// The digest by which a token is found; `nil` if it is too long to be kept.
    static func digest(of token: String) -> SHA256Digest? {
        token.utf8.count <= maximumBytes ? SHA256.hash(data: Array(token.utf8)) : nil
    }

    func find(_ digest: SHA256Digest) -> Content? { tokens.withLock { $0.value(for: digest, at: .now) } }

    func store(_ content: Content, for digest: SHA256Digest) {
        tokens.withLock { $0.store(content, for: digest, until: .now + Self.timeToLive) }
    }
}
