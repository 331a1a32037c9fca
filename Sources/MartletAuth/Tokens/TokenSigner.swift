// SPDX-License-Identifier: Apache-2.0

import JWTKit

/// Makes tokens.
public struct TokenSigner: Sendable {
    public let algorithm: TokenAlgorithm
    /// The key itself is in the closure, so that nothing prints it.
    private let sign: @Sendable ([UInt8]) throws -> [UInt8]

    /// - Parameters:
    ///   - text: What a key file holds: a private key in PEM, else a secret, whose last line end does not count.
    ///   - algorithm: By default HS256 with a secret, RS256 with an RSA key, else the one that the key is for.
    /// - Throws: ``KeyError``.
    public init(text: String, algorithm: TokenAlgorithm? = nil) async throws {
        let key: any JWTAlgorithm
        if PEMKey.isPEM(text) {
            let pem = try PEMKey(text)
            self.algorithm = try pem.algorithm(algorithm)
            key = try await pem.signer(self.algorithm)
        } else {
            self.algorithm = algorithm ?? .hs256
            key = try await Secret(text.withoutLastLineEnd.utf8).algorithm(self.algorithm)
        }
        sign = { try key.sign($0) }
    }

    /// A token in compact form (RFC 7515 section 7.1).
    ///
    /// - Parameters:
    ///   - claims: An object.
    ///   - keyID: The name of the key, for who verifies with a key set.
    public func token(claiming claims: JSONValue, keyID: String? = nil) throws -> String {
        var header: [String: JSONValue] = ["alg": .string(algorithm.rawValue), "typ": .string("JWT")]
        if let keyID { header["kid"] = .string(keyID) }
        let input = [JSONValue.object(header), claims].map { Base64URL.encode($0.text.utf8) }.joined(separator: ".")
        return "\(input).\(Base64URL.encode(try sign(Array(input.utf8))))"
    }
}
