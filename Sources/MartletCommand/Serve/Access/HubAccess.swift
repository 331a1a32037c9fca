// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
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
    /// What decides by tokens; `nil` where no tokens decide.
    private let tokens: TokenAccess?
    private let metrics: any MetricsFactory

    /// - Parameter store: Where the nodes share tickets; `nil`: they do not.
    /// - Throws: ``SettingsError`` if a key, a URL or a file is unusable.
    init(
        _ settings: AccessSettings, store: (any OneTimeStore)? = nil, logger: Logger,
        metrics: any MetricsFactory = NOOPMetricsHandler.instance
    ) async throws {
        self.metrics = metrics
        tickets = Tickets(
            lifetime: settings.ticketLifetime, capacity: settings.maxTickets, share: settings.maxTicketsPerPrincipal,
            store: store)
        if settings.isOpen {
            tokens = nil
            control = .local
            (events, mercure) = settings.readOnly ? (.readOnly, .readOnly) : (control, control)
            forget = { _ in }
        } else if let url = settings.authorizeURL {
            let forward = try Self.naming("authorize-url") {
                try ForwardAccess(url: url, publishOrigins: settings.publishOrigins, logger: logger)
            }
            tokens = nil
            control = forward.access()
            events = settings.limited(control.accepting(tickets))
            mercure = events
            forget = forward.forget
        } else {
            let tokens = TokenAccess(try await Self.rules(settings, tickets, logger, metrics))
            (control, events, mercure) = (tokens.control.access, tokens.events.access, tokens.mercure.access)
            forget = { _ in }
            self.tokens = tokens
        }
    }

    /// Uses the keys and roles of other settings from now on, which are read again. Streams that are open stay.
    ///
    /// - Throws: ``SettingsError`` if a key or a file is unusable. Then nothing changes.
    func reload(_ settings: AccessSettings, logger: Logger) async throws {
        guard let tokens else { return }
        let rules = try await Self.rules(settings, tickets, logger, metrics)
        tokens.control.replace(with: rules.control)
        tokens.events.replace(with: rules.events)
        tokens.mercure.replace(with: rules.mercure)
    }

    /// Access by tokens, for each group of routes.
    private struct Rules {
        let control: Access
        let events: Access
        let mercure: Access
    }

    /// Access by tokens that can be replaced.
    private struct TokenAccess: Sendable {
        let control: AccessSwitch<BasicEventStreamRequestContext>
        let events: AccessSwitch<BasicEventStreamRequestContext>
        let mercure: AccessSwitch<BasicEventStreamRequestContext>

        init(_ rules: Rules) {
            control = AccessSwitch(rules.control)
            events = AccessSwitch(rules.events)
            mercure = AccessSwitch(rules.mercure)
        }
    }

    private static func rules(
        _ settings: AccessSettings, _ tickets: Tickets, _ logger: Logger, _ metrics: any MetricsFactory
    ) async throws -> Rules {
        let subscriber = try await verifier("subscriber", settings.subscriber, settings.leeway, logger, metrics)
        let publisher = try await verifier("publisher", settings.publisher, settings.leeway, logger, metrics)
        let roles = try roles(settings.rolesFile)
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
        let control = access(acceptsQuery: false)
        return Rules(
            control: control, events: settings.limited(control.accepting(tickets)),
            mercure: settings.limited(access(acceptsQuery: true).accepting(tickets)))
    }

    private static func verifier(
        _ name: String, _ settings: AccessSettings.Keys, _ leeway: Duration, _ logger: Logger,
        _ metrics: any MetricsFactory
    ) async throws -> TokenVerifier? {
        guard let keys = try await keys(name, settings, logger, metrics) else { return nil }
        return TokenVerifier(
            keys: keys, audience: ClaimRule(settings.audiences), issuer: ClaimRule(settings.issuers), leeway: leeway)
    }

    private static func keys(
        _ name: String, _ settings: AccessSettings.Keys, _ logger: Logger, _ metrics: any MetricsFactory
    ) async throws -> TokenKeys? {
        if let key = settings.key {
            do { return try await TokenKeys(text: key.text, algorithm: settings.algorithm) } catch {
                throw SettingsError("\(name)-key: \(error)")
            }
        }
        guard let set = settings.set else { return nil }
        let algorithms = settings.algorithm.map { [$0] } ?? TokenAlgorithm.asymmetric
        let onFetch = fetchCounter(name, metrics)
        return try naming("\(name)-jwks") {
            guard let path = FileReference.path(in: set) else {
                return try TokenKeys(jwks: set, algorithms: algorithms, logger: logger, onFetch: onFetch)
            }
            return try TokenKeys(jwksFile: path, algorithms: algorithms, logger: logger, onFetch: onFetch)
        }
    }

    /// - Parameter name: Whose tokens the keys verify.
    private static func fetchCounter(_ name: String, _ metrics: any MetricsFactory) -> FetchObserver {
        func counter(_ result: String) -> Counter {
            Counter(
                label: "martlet_key_fetches", dimensions: [("keys", name), ("result", result)], factory: metrics)
        }
        let (successes, failures) = (counter("success"), counter("failure"))
        return { ($0 ? successes : failures).increment() }
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

extension AccessSettings {
    /// An access as far as this hub only streams.
    fileprivate func limited(_ access: HubAccess.Access) -> HubAccess.Access {
        readOnly ? access.withoutPublishing : access
    }
}

extension ClaimRule {
    /// - Parameter values: The values of an option; empty: the option is not set.
    init(_ values: [String]) { self = values.isEmpty ? .any : .oneOf(values) }
}
