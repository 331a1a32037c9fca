// SPDX-License-Identifier: Apache-2.0

import JWTKit
import MartletSupport

/// A key as it was configured: a key in PEM or DER, or otherwise a secret. All texts of keys are read here: options,
/// variables, key files, and those of the command that makes tokens.
///
/// A text is a secret only if it is recognisably nothing else. Everyone who knows the secret can sign tokens, so neither a
/// public key nor the location of a key may become one, even if it was damaged on its way.
enum ParsedKey {
    case asymmetric(AsymmetricKey)
    case secret(HMACSecret)

    /// How often a text may be encoded as base64.
    private static let maximumDepth = 3

    /// - Throws: ``KeyError`` if the text is an unusable key, or the location of one.
    init(_ text: String) throws(KeyError) {
        if let key = try Self.key(in: text, depth: 0) {
            self = .asymmetric(key)
        } else {
            self = .secret(HMACSecret(text.withoutLineEnds))
        }
    }

    /// The key in a text; `nil` if the text may be a secret.
    private static func key(in text: String, depth: Int) throws(KeyError) -> AsymmetricKey? {
        if let block = PEM.firstKey(in: text.utf8) { return try AsymmetricKey(block) }
        for bytes in KeyEncoding.readings(of: text) {
            if let key = AsymmetricKey(der: bytes) { return key }
            guard depth < maximumDepth, let inner = String(validating: bytes, as: UTF8.self) else { continue }
            if let key = try key(in: inner, depth: depth + 1) { return key }
        }
        if let form = MistakenSecret(of: text) { throw KeyError(.unusable, form.message) }
        return nil
    }
}

extension String {
    /// The bytes of a secret. Line ends behind it are not part of it.
    fileprivate var withoutLineEnds: [UInt8] {
        Array(utf8.reversed().drop { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }.reversed())
    }
}

/// A secret for HMAC, which the signer and the verifier share.
struct HMACSecret: Sendable, CustomStringConvertible, CustomReflectable {
    private let bytes: [UInt8]

    /// The algorithms that take a secret, the usual one first.
    static let algorithms: [TokenAlgorithm] = [.hs256, .hs384, .hs512]

    init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

    /// The algorithm with the secret: it verifies and signs.
    ///
    /// - Throws: ``KeyError`` if the secret is shorter than the hash (RFC 7518 section 3.2).
    func algorithm(_ algorithm: TokenAlgorithm) async throws -> any JWTAlgorithm {
        let (digest, length): (DigestAlgorithm, Int) =
            switch algorithm {
            case .hs256: (.sha256, 32)
            case .hs384: (.sha384, 48)
            case .hs512: (.sha512, 64)
            default:
                throw KeyError(
                    .wrongAlgorithm,
                    "A secret is not a key for \(algorithm), but for \(TokenAlgorithm.list(Self.algorithms)).")
            }
        guard bytes.count >= length else {
            throw KeyError(
                .secretTooShort,
                "The secret has \(bytes.count) bytes; \(algorithm) needs \(length) or more (RFC 7518 section 3.2). "
                    + "openssl rand -hex \(length) makes one.")
        }
        let keys = JWTKeyCollection()
        await keys.add(hmac: HMACKey(from: bytes), digestAlgorithm: digest)
        return try await keys.getKey()
    }

    var description: String { "a secret" }
    var customMirror: Mirror { Mirror(self, children: []) }
}

/// Decodes base64, base64url and hex, also with line ends (or a written `\n`), spaces and quotes in it.
enum KeyEncoding {
    /// All bytes that the whole text may encode.
    static func readings(of text: String) -> [[UInt8]] {
        let text = MistakenSecret.core(of: text).utf8
        return [base64(text), hex(text)].compactMap { $0 }.filter { !$0.isEmpty }
    }

    /// `nil` if the text is neither base64 nor base64url.
    static func base64(_ text: some Collection<UInt8>) -> [UInt8]? {
        var digits = withoutLayout(text)
        let padding = digits.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard padding <= 2 else { return nil }
        digits.removeLast(padding)
        return Base64URL.decode(digits.map(\.urlDigit))
    }

    private static func hex(_ text: some Collection<UInt8>) -> [UInt8]? {
        let digits = withoutLayout(text).filter { $0 != UInt8(ascii: ":") }.map(\.hexDigit)
        guard digits.count % 2 == 0, digits.allSatisfy({ $0 != nil }) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { (digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0) }
    }

    /// The bytes that every run of base64 in a text may encode. Each run is decoded from each of its first four digits on,
    /// so that digits may be missing before and behind it.
    static func runs(in text: String) -> [[UInt8]] {
        text.utf8.split { !$0.isBase64Digit }.filter { $0.count >= shortestRun }.flatMap { run in
            (0..<4).compactMap { skipped in
                let digits = run.dropFirst(skipped).map(\.urlDigit)
                // The left-over bits of the last byte need not be zero in a part of a text.
                return Base64URL.decode(digits.prefix(digits.count / 4 * 4))
            }
        }
    }

    /// In digits. The shortest public key, Ed25519 in DER, has 60.
    private static let shortestRun = 40

    private static func withoutLayout(_ text: some Collection<UInt8>) -> [UInt8] {
        var kept: [UInt8] = []
        var isEscaped = false
        for byte in text {
            switch byte {
            case UInt8(ascii: "\\"): isEscaped = true
            case UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
                if !isEscaped { kept.append(byte) }
                isEscaped = false
            case 0x09...0x0D, 0x20, UInt8(ascii: "\""), UInt8(ascii: "'"): isEscaped = false
            default:
                kept.append(byte)
                isEscaped = false
            }
        }
        return kept
    }
}

extension UInt8 {
    /// The digit of base64url for one of base64.
    fileprivate var urlDigit: UInt8 {
        switch self {
        case UInt8(ascii: "+"): UInt8(ascii: "-")
        case UInt8(ascii: "/"): UInt8(ascii: "_")
        default: self
        }
    }

    fileprivate var isBase64Digit: Bool {
        switch Unicode.Scalar(self) {
        case "A"..."Z", "a"..."z", "0"..."9", "+", "/", "-", "_": true
        default: false
        }
    }
}
