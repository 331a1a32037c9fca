// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletHTTP

/// The settings that decide which client may do what.
struct AccessSettings: Equatable, Sendable {
    /// How tokens of publishers or of subscribers are verified: with a key, or with a set of keys.
    struct Keys: Equatable, Sendable {
        var key: SecretText?
        /// The algorithm that signs tokens; `nil`: the usual one of a key, any asymmetric one for a set.
        var algorithm: TokenAlgorithm?
        /// The place of the set: a URL, or `file:` and a path.
        var set: String?
        /// The audiences of which a token must name one; empty: any token is accepted.
        var audiences: [String] = []
        /// The issuers of which one must have made a token; empty: any token is accepted.
        var issuers: [String] = []

        var isEmpty: Bool { key == nil && set == nil }
    }

    var publisher = Keys()
    var subscriber = Keys()
    /// Whether a key set needs no audiences.
    var allowsAnyAudience = false
    /// The back end that decides instead of tokens.
    var authorizeURL: String?
    /// The file that says what claims of tokens allow; `nil`: the claim `mercure` does.
    var rolesFile: String?
    /// Whether clients without a token may subscribe.
    var anonymous = false
    /// The allowed clock skew between the hub and the token issuer.
    var leeway = TokenVerifier.defaultLeeway
    var cookieName = CredentialRules.defaultCookieName
    var ticketLifetime = Tickets.defaultLifetime
    /// The most topics of tickets that are neither used nor expired: of all, and of one principal.
    var maxTickets = Tickets.defaultCapacity
    var maxTicketsPerPrincipal = Tickets.defaultShare
    /// The origins whose pages may subscribe and read the answers.
    var corsOrigins: [OriginPattern] = []
    /// The origins whose pages may publish with a cookie.
    var publishOrigins: [OriginPattern] = []
    /// Whether every publish over HTTP is refused.
    var readOnly = false
    /// Whether the hub announces and lists active subscriptions.
    var subscriptions = false

    /// Whether clients need not identify themselves.
    var isOpen: Bool { publisher.isEmpty && subscriber.isEmpty && authorizeURL == nil }

    /// - Throws: ``SettingsError`` if the settings contradict each other.
    func check() throws(SettingsError) {
        for (keys, name) in [(publisher, "publisher"), (subscriber, "subscriber")] {
            if keys.key != nil, keys.set != nil {
                throw SettingsError("\(name)-key and \(name)-jwks are both set; set one of them")
            }
            let restrictions = [
                ("alg", keys.algorithm != nil), ("audience", !keys.audiences.isEmpty),
                ("issuer", !keys.issuers.isEmpty),
            ]
            for (option, isSet) in restrictions where isSet && keys.isEmpty {
                throw SettingsError("\(name)-\(option) is set without a key; set \(name)-key or \(name)-jwks too")
            }
            if keys.set != nil, keys.audiences.isEmpty, !allowsAnyAudience {
                throw SettingsError(
                    "\(name)-jwks is set without \(name)-audience: the keys of an identity provider sign tokens for all its "
                        + "applications; set \(name)-audience to the aud of tokens for this hub, or "
                        + "allow-any-audience to accept tokens for any application")
            }
        }
        if authorizeURL != nil {
            guard publisher.isEmpty, subscriber.isEmpty, rolesFile == nil, !anonymous else {
                throw SettingsError(
                    "with authorize-url, a back end decides instead of tokens; leave out the keys, roles and anonymous")
            }
        } else if isOpen {
            if rolesFile != nil {
                throw SettingsError("roles needs tokens; set publisher-key and subscriber-key")
            }
            if !publishOrigins.isEmpty {
                throw SettingsError("publish-origin needs tokens; set publisher-key and subscriber-key")
            }
        } else if publisher.isEmpty, !readOnly {
            throw SettingsError("no client could publish without a publisher-key; set it, or publisher-jwks")
        } else if subscriber.isEmpty, !anonymous {
            throw SettingsError(
                "no client could subscribe without a subscriber-key; set it, subscriber-jwks or anonymous")
        }
    }
}
