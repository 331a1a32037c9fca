// SPDX-License-Identifier: Apache-2.0

/// One life of an embedded log. Its positions are written `<epoch>-<offset>`, such as `k3v9x2ma-1042`.
package struct Epoch: Hashable, Sendable {
    package let text: String

    /// A new epoch, told from all others by 40 random bits.
    package init() {
        let digits = Array("0123456789abcdefghijkmnpqrstvwxyz".utf8.prefix(32))
        text = String(decoding: (0..<8).map { _ in digits[Int.random(in: 0..<32)] }, as: UTF8.self)
    }

    /// An epoch that was made before.
    package init(text: String) { self.text = text }

    package func position(_ offset: UInt64) -> Position { Position("\(text)-\(offset)") }

    /// The offset that a position of this epoch stands for; `nil` if it is of no epoch or of another.
    package func offset(_ position: Position) -> UInt64? {
        let parts = position.text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == text, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return UInt64(parts[1])
    }

    /// Whether a text has the form of a position, of whatever epoch.
    package static func isPosition(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 2 && parts[0].utf8.count == 8 && parts[1].first != "+" && UInt64(parts[1]) != nil
    }
}
