// SPDX-License-Identifier: Apache-2.0

/// How a token is signed (RFC 7518 section 3.1, RFC 8037 section 3.1). There is no `none`.
public enum TokenAlgorithm: String, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    case hs256 = "HS256"
    case hs384 = "HS384"
    case hs512 = "HS512"
    case rs256 = "RS256"
    case rs384 = "RS384"
    case rs512 = "RS512"
    case ps256 = "PS256"
    case ps384 = "PS384"
    case ps512 = "PS512"
    case es256 = "ES256"
    case es384 = "ES384"
    case es512 = "ES512"
    case eddsa = "EdDSA"

    /// Those whose keys have a public part.
    public static let asymmetric = Set(allCases.filter { !$0.isSymmetric })

    /// Whether who verifies can sign as well: HMAC.
    public var isSymmetric: Bool { rawValue.hasPrefix("HS") }  // characters: a name of ours

    public var description: String { rawValue }

    /// "RS256, RS384 or RS512", for messages.
    static func list(_ algorithms: some Collection<TokenAlgorithm>) -> String {
        let names = allCases.filter(algorithms.contains).map(\.rawValue)
        guard let last = names.last, names.count > 1 else { return names.first ?? "none" }
        return "\(names.dropLast().joined(separator: ", ")) or \(last)"
    }
}
