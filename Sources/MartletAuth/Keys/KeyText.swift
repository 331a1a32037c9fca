// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// What the text of a key is: a key in PEM or DER, else a secret. Options, variables, key files and the command that makes
/// tokens all come here.
///
/// A secret is a text that is recognisably nothing else. Whoever knows the secret can sign tokens, so neither a public key
/// nor the place of a key may become one, however it was damaged on its way here.
enum KeyText {
    case asymmetric(PEMKey)
    case secret(Secret)

    /// How often a text may be base64 of another one.
    private static let maximumDepth = 3

    /// - Throws: ``KeyError`` where the text is a key of a kind or in a form that cannot be used, or names the place of one.
    init(_ text: String) throws(KeyError) {
        if let key = try Self.key(in: text, depth: 0) {
            self = .asymmetric(key)
        } else {
            self = .secret(Secret(text.withoutLineEnds))
        }
    }

    /// The key that a text has; `nil` where it is recognisably none.
    private static func key(in text: String, depth: Int) throws(KeyError) -> PEMKey? {
        if let block = PEMText.firstKey(in: text.utf8) { return try PEMKey(block) }
        for bytes in EncodedBytes.readings(of: text) {
            if let key = PEMKey(der: bytes) { return key }
            guard depth < maximumDepth, let inner = String(validating: bytes, as: UTF8.self) else { continue }
            if let key = try key(in: inner, depth: depth + 1) { return key }
        }
        if let form = KeyForm(of: text) { throw KeyError(.unusable, form.message) }
        return nil
    }
}

extension String {
    /// The bytes of a secret: a line end behind it is not part of it.
    fileprivate var withoutLineEnds: [UInt8] {
        Array(utf8.reversed().drop { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }.reversed())
    }
}
