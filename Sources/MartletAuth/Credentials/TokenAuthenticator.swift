// SPDX-License-Identifier: Apache-2.0

public import MartletHTTP

/// Knows who asks from a signed token: in the header `Authorization: Bearer …`, else, where the rules say so, in the
/// query parameter `authorization`, else in a cookie.
public struct TokenAuthenticator: Authenticator {
    private let subscriber: TokenVerifier?
    private let publisher: TokenVerifier?
    private let rules: CredentialRules

    /// - Parameters:
    ///   - subscriber: Verifies the tokens of who subscribes. `nil`: tokens are of no use for that.
    ///   - publisher: Verifies the tokens of who publishes. `nil`: nobody may.
    ///   - rules: Where else tokens may be.
    public init(
        subscriber: TokenVerifier?, publisher: TokenVerifier?, rules: CredentialRules = CredentialRules()
    ) {
        self.subscriber = subscriber
        self.publisher = publisher
        self.rules = rules
    }

    /// What the token of a request says; `nil` where it has none.
    ///
    /// - Throws: ``Problem``: 401 with the reason and a challenge where a token is there and is not believed, also where
    ///   none would be needed; 401 where this purpose has no keys; 503 where the keys cannot be had.
    public func principal(of request: HubRequest, to purpose: AccessPurpose) async throws(Problem) -> VerifiedToken? {
        let credentials: Credentials?
        do { credentials = try Credentials.find(in: request, rules) } catch { throw error.problem }
        let verifier = purpose == .subscribe ? subscriber : publisher
        guard let verifier else {
            guard credentials != nil || purpose == .publish else { return nil }
            throw TokenRefusal.noKeys(for: purpose).problem
        }
        guard let credentials else { return nil }
        do {
            return try await verifier.verify(credentials.token)
        } catch var error as TokenRefusal {
            error.field = credentials.place.rawValue
            throw error.problem
        } catch let error as KeysUnavailable {
            throw error.problem
        } catch {
            throw .unavailable("The token could not be verified now. Try again later.", retryAfter: .seconds(1))
        }
    }
}

extension TokenRefusal {
    static func noKeys(for purpose: AccessPurpose) -> TokenRefusal {
        switch purpose {
        case .subscribe: TokenRefusal(.noKeys, "No key for the tokens of subscribers is configured here.")
        case .publish:
            TokenRefusal(.noKeys, "No key for the tokens of publishers is configured here: nobody may publish.")
        }
    }
}
