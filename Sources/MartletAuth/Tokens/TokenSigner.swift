// SPDX-License-Identifier: Apache-2.0

import JWTKit
public import MartletHTTP
import MartletSupport

/// Makes and signs tokens.
public struct TokenSigner: Sendable {
    /// The algorithm that signs the tokens.
    public let algorithm: TokenAlgorithm
    /// The key is inside the closure, so that nothing prints it.
    private let sign: @Sendable ([UInt8]) throws -> [UInt8]

    /// - Parameters:
    ///   - text: A private key or a secret, in the forms that ``TokenKeys/init(text:algorithm:)`` takes.
    ///   - algorithm: By default HS256 for a secret, RS256 for an RSA key, otherwise the only algorithm of the key.
    /// - Throws: ``KeyError`` if the text is no key that can sign, or the key is not for the algorithm.
    public init(text: String, algorithm: TokenAlgorithm? = nil) async throws {
        let key: any JWTAlgorithm
        switch try ParsedKey(text) {
        case .asymmetric(let pair):
            self.algorithm = try pair.algorithm(algorithm)
            key = try await pair.signer(self.algorithm)
        case .secret(let secret):
            self.algorithm = algorithm ?? .hs256
            key = try await secret.algorithm(self.algorithm)
        }
        sign = { try key.sign($0) }
    }

    /// Signs claims. Returns a token in compact form (RFC 7515 section 7.1).
    ///
    /// - Parameters:
    ///   - claims: An object.
    ///   - keyID: The name of the key, for verifiers with a key set.
    public func token(claiming claims: JSONValue, keyID: String? = nil) throws -> String {
        var header: [String: JSONValue] = ["alg": .string(algorithm.rawValue), "typ": .string("JWT")]
        if let keyID { header["kid"] = .string(keyID) }
        return try signed(header: JSONValue.object(header).text, claims: claims.text)
    }

    func signed(header: String, claims: String) throws -> String {
        let input = [header, claims].map { Base64URL.encode($0.utf8) }.joined(separator: ".")
        return "\(input).\(Base64URL.encode(try sign(Array(input.utf8))))"
    }
}
