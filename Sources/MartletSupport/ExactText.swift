// SPDX-License-Identifier: Apache-2.0

/// A text that equals another only byte for byte. Two strings are equal where Unicode holds them to be the same text in
/// two spellings; names and ids on the wire are not.
package struct ExactText: Hashable, Sendable {
    package let string: String

    package init(_ string: String) {
        var string = string
        string.makeContiguousUTF8()
        self.string = string
    }

    package static func == (a: ExactText, b: ExactText) -> Bool { a.string.utf8.elementsEqual(b.string.utf8) }

    package func hash(into hasher: inout Hasher) {
        // The bytes are contiguous, and the pointer to them does not leave the closure.
        _ = string.utf8.withContiguousStorageIfAvailable { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
