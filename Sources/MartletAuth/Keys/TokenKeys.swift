// SPDX-License-Identifier: Apache-2.0

public import Logging
import MartletOutgoing

/// The keys that verify tokens, and their algorithms. A token never chooses an algorithm that is not listed here.
public struct TokenKeys: Sendable {
    /// The algorithms that tokens may be signed with.
    public let algorithms: Set<TokenAlgorithm>
    /// Keys are inside closures, so that nothing prints them.
    private let find: @Sendable (TokenHeader) async throws -> [VerificationKey]
    private let findNow: @Sendable (TokenHeader) throws -> [VerificationKey]?
    private let prepare: @Sendable () async throws -> Void

    /// Uses a secret as it is: it is not decoded, and no line end is removed.
    ///
    /// - Throws: ``KeyError`` if the secret is shorter than the algorithm's hash, or the algorithm takes no secret.
    public init(secret: some Sequence<UInt8>, algorithm: TokenAlgorithm = .hs256) async throws {
        try await self.init(VerificationKey(algorithm, HMACSecret(secret).algorithm(algorithm)))
    }

    /// Uses a public key or a certificate in PEM. Of a private key, only the public part is used. The issuer and the dates of
    /// a certificate are not checked.
    ///
    /// - Parameter algorithm: By default RS256 for an RSA key, otherwise the only algorithm of the key.
    /// - Throws: ``KeyError`` if there is no key, or it is not one for the algorithm.
    public init(pem: String, algorithm: TokenAlgorithm? = nil) async throws {
        try await self.init(AsymmetricKey(pem), algorithm)
    }

    /// Uses the text of a key file or a variable: a key in PEM, or in base64 of DER, or otherwise a secret without the line
    /// ends behind it. PEM may be indented, quoted, on one line with `\n` for its line ends, or encoded as base64.
    ///
    /// A text that is recognisably not a secret is refused, because others may know it: a public key that is damaged or in
    /// the form of SSH, JSON or XML, a URL, a path, a variable that was not replaced, an example.
    ///
    /// - Throws: ``KeyError``, which does not contain the text; also if the algorithm needs a secret and the text is another
    ///   key.
    public init(text: String, algorithm: TokenAlgorithm? = nil) async throws {
        switch try ParsedKey(text) {
        case .asymmetric(let key): try await self.init(key, algorithm)
        case .secret(let secret):
            let algorithm = algorithm ?? .hs256
            try await self.init(VerificationKey(algorithm, secret.algorithm(algorithm)))
        }
    }

    private init(_ key: AsymmetricKey, _ algorithm: TokenAlgorithm?) async throws {
        let algorithm = try key.algorithm(algorithm)
        try await self.init(VerificationKey(algorithm, key.verifier(algorithm)))
    }

    /// Uses a JSON Web Key Set (RFC 7517) at an `http` or `https` URL. It is fetched when a token needs it.
    ///
    /// The keys of an identity provider sign tokens for all its applications, so give ``TokenVerifier`` the audience.
    ///
    /// - Parameter onFetch: Hears of each fetch, for metrics.
    /// - Throws: ``KeyError`` if this is no such URL, or an algorithm for secrets is allowed.
    public init(
        jwks url: String, algorithms: Set<TokenAlgorithm> = TokenAlgorithm.asymmetric,
        limits: KeySetLimits = KeySetLimits(), logger: Logger, onFetch: FetchObserver? = nil
    ) throws(KeyError) {
        let location: OutgoingURL
        do { location = try OutgoingURL(setting: url) } catch {
            throw KeyError(.unusable, "The URL of a key set \(error).")
        }
        let request = OutgoingRequest(url: location, timeout: limits.timeout, maximumBytes: limits.maximumBytes)
        try self.init(algorithms, limits, ContinuousClock(), logger, onFetch) {
            let answer = try await request.send()
            guard answer.status == 200 else {
                throw KeyError(.malformedSet, "The key set was answered with the status \(answer.status), not 200.")
            }
            return try await KeySet(jwks: answer.body, allowing: algorithms)
        }
    }

    /// Uses a JSON Web Key Set in a file. It is read when a token needs it, and again after it has changed.
    ///
    /// - Parameter onFetch: Hears of each look at the file, for metrics.
    /// - Throws: ``KeyError`` if an algorithm for secrets is allowed.
    public init(
        jwksFile path: String, algorithms: Set<TokenAlgorithm> = TokenAlgorithm.asymmetric,
        limits: KeySetLimits = .file, logger: Logger, onFetch: FetchObserver? = nil
    ) throws(KeyError) {
        let file = KeySetFile(path: path, allowing: algorithms, maximumBytes: limits.maximumBytes)
        try self.init(algorithms, limits, ContinuousClock(), logger, onFetch) { try await file.fetch() }
    }

    /// - Parameter fetch: Returns the keys; `nil`: they have not changed.
    init(
        _ algorithms: Set<TokenAlgorithm>, _ limits: KeySetLimits, _ clock: some Clock<Duration>, _ logger: Logger,
        _ onFetch: FetchObserver? = nil, fetch: @escaping @Sendable () async throws -> KeySet?
    ) throws(KeyError) {
        guard !algorithms.isEmpty, algorithms.allSatisfy({ !$0.isSymmetric }) else {
            throw KeyError(
                .wrongAlgorithm,
                "A key set is for \(TokenAlgorithm.list(TokenAlgorithm.asymmetric)); allow some of these and no other.")
        }
        let source = KeySetSource(limits: limits, clock: clock, logger: logger, onFetch: onFetch, fetch: fetch)
        self.algorithms = algorithms
        find = { try await source.keys(for: $0) }
        findNow = { try source.keysNow(for: $0) }
        prepare = { try await source.load() }
    }

    private init(_ key: VerificationKey) {
        algorithms = [key.algorithm]
        find = { _ in [key] }
        findNow = { _ in [key] }
        prepare = {}
    }

    /// Fetches the key set now, so that a wrong URL shows at the start and not with the first token. Calling it is optional;
    /// it does nothing if there is no key set.
    ///
    /// - Throws: ``KeysUnavailable``. The log says why.
    public func load() async throws { try await prepare() }

    /// The keys that may have signed a token.
    ///
    /// - Throws: ``TokenRefusal`` of code `unknownKey`, or ``KeysUnavailable``.
    func keys(for header: TokenHeader) async throws -> [VerificationKey] { try await find(header) }

    /// The same at once; `nil` if they have to be waited for.
    func keysNow(for header: TokenHeader) throws -> [VerificationKey]? { try findNow(header) }
}

/// The algorithm that signs a token (RFC 7518 section 3.1, RFC 8037 section 3.1). There is no `none`.
public enum TokenAlgorithm: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    case hs256 = "HS256"
    case hs384 = "HS384"
    case hs512 = "HS512"
    case rs256 = "RS256"
    case rs384 = "RS384"
    case rs512 = "RS512"
    case ps256 = "PS256"
    case ps384 = "PS384"
    case ps512 = "PS512"
    case es256 = "ES256"
    case es384 = "ES384"
    case es512 = "ES512"
    case eddsa = "EdDSA"

    /// The algorithms whose keys have a public part.
    public static let asymmetric = Set(allCases.filter { !$0.isSymmetric })

    /// Whether the key that verifies can also sign: HMAC.
    public var isSymmetric: Bool { rawValue.hasPrefix("HS") }  // characters: a name of ours

    public var description: String { rawValue }

    /// "RS256, RS384 or RS512", for messages.
    static func list(_ algorithms: some Collection<TokenAlgorithm>) -> String {
        let names = allCases.filter(algorithms.contains).map(\.rawValue)
        guard let last = names.last, names.count > 1 else { return names.first ?? "none" }
        return "\(names.dropLast().joined(separator: ", ")) or \(last)"
    }
}
