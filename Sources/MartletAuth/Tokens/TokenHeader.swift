// SPDX-License-Identifier: Apache-2.0

/// What the header of a token says of it and of its signature (RFC 7515 section 4.1). It is not to be trusted.
struct TokenHeader: Hashable, Sendable {
    var algorithm: TokenAlgorithm
    /// `kid`: the name of the key. `nil`: it names none.
    var keyID: String?
    /// `typ`: the kind of token. `nil`: it does not say.
    var type: String?
}
