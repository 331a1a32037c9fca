// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletSupport

/// PEM (RFC 7468) as it arrives through variables, templates and editors: its lines may be indented, quoted, run together
/// or have `\n` written between them, and other text may stand around it.
enum PEMText {
    struct Block {
        /// "PUBLIC KEY".
        let label: String
        /// The DER; `nil` where what is between the lines is no base64.
        let bytes: [UInt8]?
    }

    /// The kinds of blocks that may hold a key that can be used.
    static let labels = [
        "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE", "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY",
    ]

    private static let begin = Array("-----BEGIN ".utf8)
    private static let dashes = Array("-----".utf8)

    /// The first whole block that may hold a key; a file of `openssl ecparam` begins with another kind. `nil`: none.
    static func firstKey(in text: some Collection<UInt8>) -> Block? {
        var rest = Array(text)[...]
        while let start = rest.firstRange(of: begin) {
            rest = rest[start.upperBound...]
            guard let labelEnd = rest.firstRange(of: dashes) else { return nil }
            let label = String(decoding: rest[..<labelEnd.lowerBound], as: UTF8.self)
            guard labels.contains(where: label.isExactly),
                let end = rest.firstRange(of: Array("-----END \(label)-----".utf8))
            else { continue }
            return Block(label: label, bytes: EncodedBytes.base64(rest[labelEnd.upperBound..<end.lowerBound]))
        }
        return nil
    }

    /// A text that every reader of PEM understands.
    static func text(_ label: String, _ bytes: [UInt8]) -> String {
        let lines = Data(bytes).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return "-----BEGIN \(label)-----\n\(lines)\n-----END \(label)-----\n"
    }
}
