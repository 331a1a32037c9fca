// SPDX-License-Identifier: Apache-2.0

import JWTKit
public import MartletHTTP
import MartletSupport

/// Makes tokens.
public struct TokenSigner: Sendable {
    public let algorithm: TokenAlgorithm
    /// The key itself is in the closure, so that nothing prints it.
    private let sign: @Sendable ([UInt8]) throws -> [UInt8]

    /// - Parameters:
    ///   - text: What a key file holds: a private key, or a secret, in the forms that ``TokenKeys/init(text:algorithm:)``
    ///     takes.
    ///   - algorithm: By default HS256 with a secret, RS256 with an RSA key, else the one that the key is for.
    /// - Throws: ``KeyError``.
    public init(text: String, algorithm: TokenAlgorithm? = nil) async throws {
        let key: any JWTAlgorithm
        switch try KeyText(text) {
        case .asymmetric(let pair):
            self.algorithm = try pair.algorithm(algorithm)
            key = try await pair.signer(self.algorithm)
        case .secret(let secret):
            self.algorithm = algorithm ?? .hs256
            key = try await secret.algorithm(self.algorithm)
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
        return try signed(header: JSONValue.object(header).text, claims: claims.text)
    }

    func signed(header: String, claims: String) throws -> String {
        let input = [header, claims].map { Base64URL.encode($0.utf8) }.joined(separator: ".")
        return "\(input).\(Base64URL.encode(try sign(Array(input.utf8))))"
    }
}
