// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// What one life of a node is called by the others: nothing that anybody chose, and nothing that comes again.
public struct NodeName: Hashable, Sendable, Comparable, CustomStringConvertible {
    private let exact: ExactText

    /// Of a new name 16 digits and lower-case letters.
    public var text: String { exact.string }

    /// A new name, told from all others by 80 random bits.
    public init() { self.init(text: Epoch().text + Epoch().text) }

    /// A name that was made before.
    public init(text: String) { exact = ExactText(text) }

    public var description: String { text }

    public static func < (a: NodeName, b: NodeName) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
}
