// SPDX-License-Identifier: Apache-2.0

extension String {
    /// A few scalars that are hard to encode, and the letter b before them.
    package static func random(using random: inout some RandomNumberGenerator) -> String {
        let scalars: [Unicode.Scalar] = [
            "a", "Z", "0", "%", "+", "&", "=", " ", "/", "\n", "\0", "~", "\u{E9}", "\u{301}", "\u{1F426}",
        ]
        var text = "b"
        for _ in 0..<Int.random(in: 0...8, using: &random) {
            text.unicodeScalars.append(scalars.randomElement(using: &random)!)
        }
        return text
    }
}
