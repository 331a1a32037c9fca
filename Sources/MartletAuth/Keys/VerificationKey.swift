// SPDX-License-Identifier: Apache-2.0

import JWTKit

/// What verifies the signatures of one algorithm.
struct VerificationKey: Sendable {
    /// The name by which a token asks for the key: `kid`. `nil`: it has none.
    let id: String?
    let algorithm: TokenAlgorithm
    /// The key itself is in the closure, so that nothing prints it.
    private let verify: @Sendable (_ signature: [UInt8], _ input: [UInt8]) -> Bool

    init(id: String? = nil, _ algorithm: TokenAlgorithm, _ verifier: any JWTAlgorithm) {
        self.id = id
        self.algorithm = algorithm
        verify = { signature, input in (try? verifier.verify(signature, signs: input)) ?? false }
    }

    /// Whether the key made the signature.
    func accepts(_ signature: [UInt8], of input: [UInt8]) -> Bool { verify(signature, input) }
}
