// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// What a claim of a token must say.
public enum ClaimRule: Hashable, Sendable {
    /// Anything; it may also be missing.
    case any
    /// One of these, byte for byte. A token without the claim is refused.
    case oneOf([String])

    /// Whether one of a token's values is one that the rule has.
    func allows(_ values: [String]) -> Bool {
        guard case .oneOf(let allowed) = self else { return true }
        return values.contains { value in allowed.contains { $0.isExactly(value) } }
    }
}
