// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import MartletHTTP

/// The reason why credentials are not valid, or do not suffice.
///
/// Match on ``code``; there may be more codes in the future. The message contains no part of the token and no key.
public struct TokenRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of a refusal.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The name of the code.
        public let description: String

        /// There are no credentials, and they are needed.
        public static let missing = Code(description: "missing")
        /// There are two headers `Authorization`, or two query parameters.
        public static let ambiguous = Code(description: "ambiguous")
        /// The scheme of the header `Authorization` is not `Bearer`.
        public static let wrongScheme = Code(description: "wrongScheme")
        /// It is not a JWS in compact form (RFC 7515 section 7.1) with JSON in it.
        public static let malformed = Code(description: "malformed")
        /// The token is longer than ``TokenVerifier/maximumTokenBytes``.
        public static let tooLong = Code(description: "tooLong")
        /// The token needs an extension that is not supported (`crit`), or is encrypted.
        public static let unsupported = Code(description: "unsupported")
        /// The algorithm of the token is not configured.
        public static let algorithmNotAllowed = Code(description: "algorithmNotAllowed")
        /// The token names a key that the key set does not have.
        public static let unknownKey = Code(description: "unknownKey")
        /// The signature is not of the key.
        public static let badSignature = Code(description: "badSignature")
        /// The token is of another kind than an access token: an ID token, a logout token, a security event.
        public static let wrongKind = Code(description: "wrongKind")
        /// The token is for another audience (`aud`), or names none.
        public static let wrongAudience = Code(description: "wrongAudience")
        /// The token is of another issuer (`iss`), or names none.
        public static let wrongIssuer = Code(description: "wrongIssuer")
        /// The token has expired (`exp`).
        public static let expired = Code(description: "expired")
        /// The token is not valid yet (`nbf`).
        public static let notYetValid = Code(description: "notYetValid")
        /// The token lacks the claim that grants the request.
        public static let claimMissing = Code(description: "claimMissing")
        /// A claim has the wrong type.
        public static let claimMalformed = Code(description: "claimMalformed")
        /// No key is configured for this purpose.
        public static let noKeys = Code(description: "noKeys")
        /// The credentials came in a cookie, from a page that is not allowed to use it.
        public static let originNotAllowed = Code(description: "originNotAllowed")
    }

    public let code: Code
    /// What is wrong and what to do: one or more sentences of printable ASCII without `"` and `\`.
    public let message: String
    /// The part of the request at fault: `Authorization`, `authorization` in the query, `Cookie`, or `Origin`.
    public var field: String?

    init(_ code: Code, _ message: String, field: String? = nil) {
        self.code = code
        self.message = message
        self.field = field
    }

    public var description: String { message }

    /// The answer: 401 with a challenge (RFC 6750 section 3).
    public var problem: Problem {
        let challenge: String
        switch code {
        case .missing, .originNotAllowed, .noKeys: challenge = "Bearer"
        case .ambiguous: challenge = #"Bearer error="invalid_request", error_description="\#(message)""#
        default: challenge = #"Bearer error="invalid_token", error_description="\#(message)""#
        }
        return Problem(.unauthorized, message, field: field, headers: [.wwwAuthenticate: challenge])
    }
}
