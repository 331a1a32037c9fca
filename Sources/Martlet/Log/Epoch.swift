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
        guard let parts = Self.parts(of: position.text), parts.epoch == text else { return nil }
        return parts.offset
    }

    /// Whether a text has the form of a position, of whatever epoch.
    package static func isPosition(_ text: String) -> Bool { parts(of: text)?.epoch.utf8.count == 8 }

    /// What the position of some epoch says; `nil` where a text is none.
    package static func parts(of text: String) -> (epoch: Substring, offset: UInt64)? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt64(parts[1]).map { (parts[0], $0) }
    }
}
