// SPDX-License-Identifier: Apache-2.0

/// What the header of a token says of its signature (RFC 7515 section 4.1). It is not to be trusted.
struct TokenHeader: Hashable, Sendable {
    var algorithm: TokenAlgorithm
    /// `kid`: the name of the key. `nil`: it names none.
    var keyID: String?
}
