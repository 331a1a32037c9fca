// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Bytes as text: base64, base64url and hex, also with line ends, written as `\n` or not, with spaces and with quotes in it.
enum EncodedBytes {
    /// All that a text may stand for as a whole.
    static func readings(of text: String) -> [[UInt8]] {
        let text = KeyForm.core(of: text).utf8
        return [base64(text), hex(text)].compactMap { $0 }.filter { !$0.isEmpty }
    }

    /// `nil` where the text is neither base64 nor base64url.
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

    /// What every run of base64 in a text stands for, from each of its first digits on, so that digits which are missing
    /// before or behind it do not matter.
    static func runs(in text: String) -> [[UInt8]] {
        text.utf8.split { !$0.isBase64Digit }.filter { $0.count >= shortestRun }.flatMap { run in
            (0..<4).compactMap { skipped in
                let digits = run.dropFirst(skipped).map(\.urlDigit)
                // What is left over of the last byte need not be zero in a part of a text.
                return Base64URL.decode(digits.prefix(digits.count / 4 * 4))
            }
        }
    }

    /// In digits; the shortest public key, of Ed25519 in DER, has 60.
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
