// SPDX-License-Identifier: Apache-2.0

import MartletHTTP
import MartletSupport

/// A signed token in compact form (RFC 7515 section 7.1), parsed and not verified.
struct CompactToken {
    let header: TokenHeader
    let signature: [UInt8]
    /// The bytes that were signed.
    let signingInput: [UInt8]
    private let payload: [UInt8]

    /// - Parameter algorithms: The algorithms that are allowed.
    /// - Throws: ``TokenRefusal``: too long, malformed, unsupported, or of another algorithm.
    init(_ token: String, allowing algorithms: Set<TokenAlgorithm>) throws(TokenRefusal) {
        guard token.utf8.count <= TokenVerifier.maximumTokenBytes else {
            throw TokenRefusal(
                .tooLong, "The token is longer than \(TokenVerifier.maximumTokenBytes) bytes. Put less into it.")
        }
        let bytes = Array(token.utf8)
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count != 5 else {
            throw TokenRefusal(.unsupported, "The token is encrypted. Send one that is signed only.")
        }
        guard parts.count == 3 else {
            throw TokenRefusal(
                .malformed, "The token does not have three parts with dots between. Send a signed JWT in compact form.")
        }
        guard let header = Base64URL.decode(parts[0]), let payload = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2])
        else {
            throw TokenRefusal(
                .malformed, "The token is not base64url without padding. Check that it was copied as a whole.")
        }
        self.header = try Self.parseHeader(header, allowing: algorithms)
        self.signature = signature
        self.payload = payload
        signingInput = Array(bytes[..<parts[1].endIndex])
    }

    private static func parseHeader(
        _ bytes: [UInt8], allowing algorithms: Set<TokenAlgorithm>
    ) throws(TokenRefusal) -> TokenHeader {
        guard let header = try? JSONValue(parsing: bytes), case .object = header else {
            throw TokenRefusal(.malformed, "The header of the token is not a JSON object.")
        }
        guard let name = header["alg"]?.stringValue else {
            throw TokenRefusal(.malformed, "The header of the token has no string alg.")
        }
        guard let algorithm = TokenAlgorithm(rawValue: name), algorithms.contains(algorithm) else {
            let signed = TokenAlgorithm(rawValue: name).map { "with \($0)" } ?? "in a way that is not known here"
            throw TokenRefusal(
                .algorithmNotAllowed,
                "algorithm not allowed: the token is signed \(signed), and the hub takes \(TokenAlgorithm.list(algorithms))."
            )
        }
        guard header["crit"] == nil else {
            throw TokenRefusal(.unsupported, "The header of the token has crit: extensions are not supported.")
        }
        for name in ["kid", "typ"] {
            guard header[name] == nil || header[name]?.stringValue != nil else {
                throw TokenRefusal(.malformed, "The \(name) in the header of the token is not a string.")
            }
        }
        return TokenHeader(
            algorithm: algorithm, keyID: header["kid"]?.stringValue, type: header["typ"]?.stringValue)
    }

    /// The claims: an object.
    func claims() throws(TokenRefusal) -> JSONValue {
        let claims: JSONValue
        do { claims = try JSONValue(parsing: payload) } catch {
            throw TokenRefusal(.malformed, "The claims of the token cannot be read. \(error)")
        }
        guard case .object = claims else {
            throw TokenRefusal(.malformed, "The claims of the token are not a JSON object.")
        }
        return claims
    }
}

/// The header of a token (RFC 7515 section 4.1). Do not trust it.
struct TokenHeader: Hashable, Sendable {
    var algorithm: TokenAlgorithm
    /// `kid`: the name of the key; `nil` if there is none.
    var keyID: String?
    /// `typ`: the kind of token; `nil` if there is none.
    var type: String?
}
