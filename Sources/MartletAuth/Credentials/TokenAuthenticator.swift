// SPDX-License-Identifier: Apache-2.0

public import MartletHTTP

/// Identifies clients by a signed token: in the header `Authorization: Bearer …`, or otherwise in the query parameter
/// `authorization` (if the rules allow it), or otherwise in a cookie.
public struct TokenAuthenticator: ImmediateAuthenticator {
    private let subscriber: TokenVerifier?
    private let publisher: TokenVerifier?
    private let rules: CredentialRules

    /// - Parameters:
    ///   - subscriber: Verifies the tokens of subscribers. `nil`: every token of a subscriber is refused.
    ///   - publisher: Verifies the tokens of publishers. `nil`: every publish is refused.
    ///   - rules: The places other than the header that may hold a token.
    public init(
        subscriber: TokenVerifier?, publisher: TokenVerifier?, rules: CredentialRules = CredentialRules()
    ) {
        self.subscriber = subscriber
        self.publisher = publisher
        self.rules = rules
    }

    /// Returns the verified token of a request; `nil` if the request has none.
    ///
    /// - Throws: ``/MartletHTTP/Problem``: 401 with the reason and a challenge if the token is not valid, even if none
    ///   is needed; 401 if there are no keys for this purpose; 503 if the keys are unavailable.
    public func principal(of request: HubRequest, to purpose: AccessPurpose) async throws(Problem) -> VerifiedToken? {
        guard let (verifier, credentials) = try credentials(of: request, to: purpose) else { return nil }
        do { return try await verifier.verify(credentials.token) } catch { throw problem(error, credentials) }
    }

    package func principalNow(
        of request: HubRequest, to purpose: AccessPurpose
    ) throws(Problem) -> PrincipalNow<VerifiedToken> {
        guard let (verifier, credentials) = try credentials(of: request, to: purpose) else { return .known(nil) }
        do {
            return try verifier.verifyNow(credentials.token).map(PrincipalNow.known) ?? .later
        } catch {
            throw problem(error, credentials)
        }
    }

    private func credentials(
        of request: HubRequest, to purpose: AccessPurpose
    ) throws(Problem) -> (TokenVerifier, Credentials)? {
        let credentials: Credentials?
        do { credentials = try Credentials.find(in: request, rules) } catch { throw error.problem }
        let verifier = purpose == .subscribe ? subscriber : publisher
        guard let verifier else {
            guard credentials != nil || purpose == .publish else { return nil }
            throw TokenRefusal.noKeys(for: purpose).problem
        }
        return credentials.map { (verifier, $0) }
    }

    private func problem(_ error: any Error, _ credentials: Credentials) -> Problem {
        switch error {
        case var refusal as TokenRefusal:
            refusal.field = credentials.place.rawValue
            return refusal.problem
        case let error as KeysUnavailable: return error.problem
        default: return .unavailable("The token could not be verified now. Try again later.", retryAfter: .seconds(1))
        }
    }
}

extension TokenRefusal {
    static func noKeys(for purpose: AccessPurpose) -> TokenRefusal {
        switch purpose {
        case .subscribe: TokenRefusal(.noKeys, "No key for the tokens of subscribers is configured here.")
        case .publish:
            TokenRefusal(
                .noKeys, "No key for the tokens of publishers is configured here, so publishing is not possible.")
        }
    }
}

/// The places other than the header `Authorization` that may hold a token.
public struct CredentialRules: Hashable, Sendable {
    /// The cookie of the Mercure protocol.
    public static let defaultCookieName = "mercureAuthorization"

    /// The cookie that holds a token; `nil`: cookies are not read.
    public var cookieName: String?
    /// Whether the query parameter `authorization` may hold a token. Use it for Mercure version 0 only: URLs end up in logs.
    public var acceptsQueryParameter: Bool
    /// The origins whose pages may publish with the token of a cookie. A browser sends the cookie with the requests of all
    /// other pages, too.
    public var publishOrigins: [OriginPattern]

    public init(
        cookieName: String? = CredentialRules.defaultCookieName, acceptsQueryParameter: Bool = false,
        publishOrigins: [OriginPattern] = []
    ) {
        self.cookieName = cookieName
        self.acceptsQueryParameter = acceptsQueryParameter
        self.publishOrigins = publishOrigins
    }
}
