// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletHTTP

/// Who may do what with the hub.
struct AccessSettings: Equatable, Sendable {
    /// What tokens for one purpose are checked with: a key, or a set of keys.
    struct Keys: Equatable, Sendable {
        var key: Secret?
        /// The algorithm that tokens must be signed with; `nil`: HS256 for a key, any asymmetric one for a set.
        var algorithm: TokenAlgorithm?
        /// Where the set is: a URL, or a file.
        var set: String?
        /// Whom tokens must be for; empty: anybody.
        var audiences: [String] = []
        /// Who must have made them; empty: anybody.
        var issuers: [String] = []

        var isEmpty: Bool { key == nil && set == nil }
    }

    var publisher = Keys()
    var subscriber = Keys()
    /// Whether key sets may do without audiences.
    var allowsAnyAudience = false
    /// The back end that is asked in place of checking tokens.
    var authorizeURL: String?
    /// The file that says what claims of tokens allow; `nil`: they say so themselves.
    var rolesFile: String?
    /// Whether who has no token may subscribe.
    var anonymous = false
    /// By how much the clock of who made a token may differ.
    var leeway = TokenVerifier.defaultLeeway
    var cookieName = CredentialRules.defaultCookieName
    var ticketLifetime = Tickets.defaultLifetime
    /// Whose pages may subscribe, and read the answers.
    var corsOrigins: [OriginPattern] = []
    /// Whose pages may publish with a cookie.
    var publishOrigins: [OriginPattern] = []
    /// Whether nobody may publish over HTTP, whatever his rights.
    var readOnly = false
    /// Whether the hub says who is subscribed.
    var subscriptions = false

    /// Whether nobody has to identify himself.
    var isOpen: Bool { publisher.isEmpty && subscriber.isEmpty && authorizeURL == nil }

    /// Throws ``SettingsError`` where the settings contradict each other.
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
                        + "applications; set \(name)-audience to what the claim aud has in tokens for this hub, or "
                        + "allow-any-audience to take tokens for any of them")
            }
        }
        if authorizeURL != nil {
            guard publisher.isEmpty, subscriber.isEmpty, rolesFile == nil, !anonymous else {
                throw SettingsError(
                    "authorize-url asks a back end who may do what; leave out the keys, roles and anonymous")
            }
        } else if isOpen {
            if rolesFile != nil {
                throw SettingsError("roles says what tokens allow; set publisher-key and subscriber-key")
            }
            if !publishOrigins.isEmpty {
                throw SettingsError("publish-origin is for cookies with tokens; set publisher-key and subscriber-key")
            }
        } else if publisher.isEmpty, !readOnly {
            throw SettingsError("nobody could publish without a publisher-key; set it, or publisher-jwks")
        } else if subscriber.isEmpty, !anonymous {
            throw SettingsError("nobody could subscribe without a subscriber-key; set it, subscriber-jwks or anonymous")
        }
    }
}
