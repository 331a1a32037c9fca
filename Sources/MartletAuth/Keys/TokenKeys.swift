// SPDX-License-Identifier: Apache-2.0

public import Logging
import MartletOutgoing

/// What verifies tokens, and with which algorithms: they are pinned here, and never chosen by a token.
public struct TokenKeys: Sendable {
    /// How tokens may be signed.
    public let algorithms: Set<TokenAlgorithm>
    /// Keys are in closures only, so that nothing prints them.
    private let find: @Sendable (TokenHeader) async throws -> [VerificationKey]
    private let prepare: @Sendable () async throws -> Void

    /// A secret, used as it is: not decoded, no line end removed.
    ///
    /// - Throws: ``KeyError`` where it is shorter than the algorithm's hash, or the algorithm takes no secret.
    public init(secret: some Sequence<UInt8>, algorithm: TokenAlgorithm = .hs256) async throws {
        try await self.init(VerificationKey(algorithm, Secret(secret).algorithm(algorithm)))
    }

    /// A public key or a certificate in PEM. Of a private key only the public part is used. A certificate is a key here:
    /// neither its issuer nor its dates matter.
    ///
    /// - Parameter algorithm: By default RS256, or the one algorithm that the key is for.
    /// - Throws: ``KeyError`` where there is no key, or it is not one for the algorithm.
    public init(pem: String, algorithm: TokenAlgorithm? = nil) async throws {
        try await self.init(PEMKey(pem), algorithm)
    }

    /// What a key file or a variable holds: a key in PEM, or in base64 of DER, else a secret, without the line ends behind
    /// it. PEM may be indented, quoted or on one line, with `\n` written for its line ends, or base64 of it all.
    ///
    /// A text that is recognisably something else is refused and never used as a secret, which others may know: a public
    /// key that is damaged or in the form of SSH, JSON or XML, a URL, a path, a variable that was not replaced, an example.
    ///
    /// - Throws: ``KeyError``, which does not contain the text; also where the algorithm is one for secrets and the text is
    ///   a key of another kind.
    public init(text: String, algorithm: TokenAlgorithm? = nil) async throws {
        switch try KeyText(text) {
        case .asymmetric(let key): try await self.init(key, algorithm)
        case .secret(let secret):
            let algorithm = algorithm ?? .hs256
            try await self.init(VerificationKey(algorithm, secret.algorithm(algorithm)))
        }
    }

    private init(_ key: PEMKey, _ algorithm: TokenAlgorithm?) async throws {
        let algorithm = try key.algorithm(algorithm)
        try await self.init(VerificationKey(algorithm, key.verifier(algorithm)))
    }

    /// A JSON Web Key Set (RFC 7517) at an `http` or `https` URL, fetched when a token needs it.
    ///
    /// The keys of an identity provider sign tokens for all its applications: tell ``TokenVerifier`` the audience.
    ///
    /// - Throws: ``KeyError`` where this is no such URL, or a secret's algorithm is allowed.
    public init(
        jwks url: String, algorithms: Set<TokenAlgorithm> = TokenAlgorithm.asymmetric,
        limits: KeySetLimits = KeySetLimits(), logger: Logger
    ) throws(KeyError) {
        let location: OutgoingURL
        do { location = try OutgoingURL(setting: url) } catch {
            throw KeyError(.unusable, "The URL of a key set \(error).")
        }
        let request = OutgoingRequest(url: location, timeout: limits.timeout, maximumBytes: limits.maximumBytes)
        try self.init(algorithms, limits, ContinuousClock(), logger) {
            let answer = try await request.send()
            guard answer.status == 200 else {
                throw KeyError(.malformedSet, "The key set was answered with the status \(answer.status), not 200.")
            }
            return try await KeySet(jwks: answer.body, allowing: algorithms)
        }
    }

    /// A JSON Web Key Set in a file, which is read when a token needs it, and again when it has changed.
    ///
    /// - Throws: ``KeyError`` where a secret's algorithm is allowed.
    public init(
        jwksFile path: String, algorithms: Set<TokenAlgorithm> = TokenAlgorithm.asymmetric,
        limits: KeySetLimits = .file, logger: Logger
    ) throws(KeyError) {
        let file = KeySetFile(path: path, allowing: algorithms, maximumBytes: limits.maximumBytes)
        try self.init(algorithms, limits, ContinuousClock(), logger) { try await file.fetch() }
    }

    /// - Parameter fetch: Gets the keys; `nil`: they are what they were.
    init(
        _ algorithms: Set<TokenAlgorithm>, _ limits: KeySetLimits, _ clock: some Clock<Duration>, _ logger: Logger,
        fetch: @escaping @Sendable () async throws -> KeySet?
    ) throws(KeyError) {
        guard !algorithms.isEmpty, algorithms.allSatisfy({ !$0.isSymmetric }) else {
            throw KeyError(
                .wrongAlgorithm,
                "A key set is for \(TokenAlgorithm.list(TokenAlgorithm.asymmetric)); allow some of these and no other.")
        }
        let source = KeySetSource(limits: limits, clock: clock, logger: logger, fetch: fetch)
        self.algorithms = algorithms
        find = { try await source.keys(for: $0) }
        prepare = { try await source.load() }
    }

    private init(_ key: VerificationKey) {
        algorithms = [key.algorithm]
        find = { _ in [key] }
        prepare = {}
    }

    /// Fetches a key set now, so that a URL that is wrong shows at the start and not with the first token. It is not
    /// needed, and does nothing where the key is at hand.
    ///
    /// - Throws: ``KeysUnavailable``. The log says why.
    public func load() async throws { try await prepare() }

    /// The keys that may have signed a token.
    ///
    /// - Throws: ``TokenRefusal`` of code `unknownKey`, or ``KeysUnavailable``.
    func keys(for header: TokenHeader) async throws -> [VerificationKey] { try await find(header) }
}
