// SPDX-License-Identifier: Apache-2.0

import JWTKit
import MartletHTTP
import MartletSupport

/// Keys, and which of them may have signed a token.
struct KeySet: Sendable {
    private let keys: [VerificationKey]
    private let haveNames: Bool

    init(_ keys: [VerificationKey]) {
        self.keys = keys
        haveNames = keys.contains { $0.id != nil }
    }

    /// The keys that may have signed a token: those with its `kid`, or all of its algorithm where it names none or the
    /// keys have no names.
    ///
    /// `nil`: no key here has that name or is one for the algorithm, and a newer set may have one.
    func keys(for header: TokenHeader) -> [VerificationKey]? {
        let named = header.keyID.flatMap { id in haveNames ? keys.filter { $0.id?.isExactly(id) == true } : nil }
        let matching = (named ?? keys).filter { $0.algorithm == header.algorithm }
        return matching.isEmpty ? nil : matching
    }

    /// The most keys of a JSON Web Key Set.
    static let maximumKeys = 100

    /// The keys of a JSON Web Key Set (RFC 7517 section 5) that are for one of the algorithms. Others are passed over:
    /// those for encryption, secrets, and kinds that are not known here.
    ///
    /// - Throws: ``KeyError`` where it is no set, has no key that can be used, or more than ``maximumKeys``.
    init(jwks text: some Collection<UInt8>, allowing algorithms: Set<TokenAlgorithm>) async throws(KeyError) {
        let document: JSONValue
        do { document = try JSONValue(parsing: text) } catch {
            throw KeyError(.malformedSet, "The key set cannot be read. \(error)")
        }
        guard case .array(let members)? = document["keys"] else {
            throw KeyError(.malformedSet, "The key set has no array \"keys\" (RFC 7517 section 5).")
        }
        guard members.count <= Self.maximumKeys else {
            throw KeyError(.malformedSet, "The key set has \(members.count) keys; \(Self.maximumKeys) are allowed.")
        }
        var keys: [VerificationKey] = []
        for member in members {
            for algorithm in JSONWebKey.algorithms(of: member) where algorithms.contains(algorithm) {
                guard let verifier = try? await JSONWebKey.verifier(member, algorithm) else { continue }
                keys.append(VerificationKey(id: member["kid"]?.stringValue, algorithm, verifier))
            }
        }
        guard !keys.isEmpty else {
            throw KeyError(.malformedSet, "The key set has no key for \(TokenAlgorithm.list(algorithms)).")
        }
        self.init(keys)
    }
}
