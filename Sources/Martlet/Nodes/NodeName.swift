// SPDX-License-Identifier: Apache-2.0

/// What one life of a node is called by the others: nothing that anybody chose, and nothing that comes again.
public struct NodeName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Of a new name 16 digits and lower-case letters.
    public let text: String

    /// A new name, told from all others by 80 random bits.
    public init() { text = Epoch().text + Epoch().text }

    /// A name that was made before.
    public init(text: String) { self.text = text }

    public var description: String { text }

    public static func < (a: NodeName, b: NodeName) -> Bool { a.text < b.text }
}
