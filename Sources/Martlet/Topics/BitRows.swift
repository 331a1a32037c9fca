// SPDX-License-Identifier: Apache-2.0

/// Rows of bits, all of one length, in words of 64.
struct BitRows: Sendable {
    /// The words of one row.
    let width: Int
    private var words: [UInt64]

    init(rows: Int = 1, bits: Int) {
        width = (bits + 63) / 64
        words = Array(repeating: 0, count: rows * width)
    }

    var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    subscript(word: Int, row row: Int = 0) -> UInt64 {
        get { words[row * width + word] }
        set { words[row * width + word] = newValue }
    }

    func contains(_ bit: Int) -> Bool { self[bit / 64] & (1 << UInt64(bit % 64)) != 0 }

    mutating func insert(_ bit: Int, row: Int = 0) { self[bit / 64, row: row] |= 1 << UInt64(bit % 64) }
}
