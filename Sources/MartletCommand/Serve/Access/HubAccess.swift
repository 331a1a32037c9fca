// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import MartletAuth
import MartletHTTP

/// The access of each group of routes, made from the settings.
struct HubAccess: Sendable {
    typealias Access = MartletHTTP.Access<BasicEventStreamRequestContext>

    /// For the routes under `/events`.
    let events: Access
    /// For the routes of the Mercure protocol, which accept tokens in the query, too.
    let mercure: Access
    /// For the routes that control streams, which accept no tickets.
    let control: Access
    let tickets: Tickets
    /// Forgets the cached rights of a principal.
    let forget: @Sendable (String) -> Void

    /// - Throws: ``SettingsError`` if a key, a URL or a file is unusable.
    init(_ settings: AccessSettings, logger: Logger) async throws {
        tickets = Tickets(lifetime: settings.ticketLifetime)
        func limited(_ access: Access) -> Access { settings.readOnly ? access.withoutPublishing : access }
        if settings.isOpen {
            control = .local
            (events, mercure) = settings.readOnly ? (.readOnly, .readOnly) : (control, control)
            forget = { _ in }
        } else if let url = settings.authorizeURL {
            let forward = try Self.naming("authorize-url") {
                try ForwardAccess(url: url, publishOrigins: settings.publishOrigins, logger: logger)
            }
            control = forward.access()
            events = limited(control.accepting(tickets))
            mercure = events
            forget = forward.forget
        } else {
            let subscriber = try await Self.verifier("subscriber", settings.subscriber, settings.leeway, logger)
            let publisher = try await Self.verifier("publisher", settings.publisher, settings.leeway, logger)
            let roles = try Self.roles(settings.rolesFile)
            func access(acceptsQuery: Bool) -> Access {
                let rules = CredentialRules(
                    cookieName: settings.cookieName, acceptsQueryParameter: acceptsQuery,
                    publishOrigins: settings.publishOrigins)
                let authenticator = TokenAuthenticator(subscriber: subscriber, publisher: publisher, rules: rules)
                guard let roles else {
                    return Access(authenticator, MercureClaimPolicy(allowsAnonymous: settings.anonymous))
                }
                return Access(authenticator, roles)
            }
            forget = { _ in }
            control = access(acceptsQuery: false)
            events = limited(control.accepting(tickets))
            mercure = limited(access(acceptsQuery: true).accepting(tickets))
        }
    }

    private static func verifier(
        _ name: String, _ settings: AccessSettings.Keys, _ leeway: Duration, _ logger: Logger
    ) async throws -> TokenVerifier? {
        guard let keys = try await keys(name, settings, logger) else { return nil }
        return TokenVerifier(
            keys: keys, audience: ClaimRule(settings.audiences), issuer: ClaimRule(settings.issuers), leeway: leeway)
    }

    private static func keys(
        _ name: String, _ settings: AccessSettings.Keys, _ logger: Logger
    ) async throws -> TokenKeys? {
        if let key = settings.key {
            do { return try await TokenKeys(text: key.text, algorithm: settings.algorithm) } catch {
                throw SettingsError("\(name)-key: \(error)")
            }
        }
        guard let set = settings.set else { return nil }
        let algorithms = settings.algorithm.map { [$0] } ?? TokenAlgorithm.asymmetric
        return try naming("\(name)-jwks") {
            guard let path = FileReference.path(in: set) else {
                return try TokenKeys(jwks: set, algorithms: algorithms, logger: logger)
            }
            return try TokenKeys(jwksFile: path, algorithms: algorithms, logger: logger)
        }
    }

    private static let mostBytesOfRoles = 16 << 20

    private static func roles(_ path: String?) throws -> RolePolicy? {
        guard let path else { return nil }
        let json = try BoundedFile.bytes(at: path, atMost: mostBytesOfRoles, for: "roles")
        return try naming("roles in \(path)") { try RolePolicy(json: json) }
    }

    /// Prefixes an error with the setting that it is about.
    private static func naming<Value>(_ setting: String, _ body: () throws -> Value) throws(SettingsError) -> Value {
        do { return try body() } catch { throw SettingsError("\(setting): \(error)") }
    }
}

extension ClaimRule {
    /// - Parameter values: The values of an option; empty: the option is not set.
    init(_ values: [String]) { self = values.isEmpty ? .any : .oneOf(values) }
}
