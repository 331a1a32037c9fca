// SPDX-License-Identifier: Apache-2.0

public import MartletHTTP

/// Where credentials may come from besides the header `Authorization`.
public struct CredentialRules: Hashable, Sendable {
    /// The cookie of the Mercure protocol.
    public static let defaultCookieName = "mercureAuthorization"

    /// The cookie that holds a token. `nil`: no cookie does.
    public var cookieName: String?
    /// Whether a token may be in the query, as `authorization`: for Mercure, version 0, only, since URLs end up in logs.
    public var acceptsQueryParameter: Bool
    /// The origins whose pages may do what changes something with the token of a cookie, which a browser also sends along
    /// with what other pages do.
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
