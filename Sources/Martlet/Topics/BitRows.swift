// SPDX-License-Identifier: Apache-2.0

/// Rows of bits, all of one length, in words of 64.
struct BitRows: Sendable {
    /// The words of one row.
    let width: Int
    private var words: [UInt64]

    init(rows: Int, bits: Int) {
        width = (bits + 63) / 64
        words = Array(repeating: 0, count: rows * width)
    }

    subscript(word: Int, row row: Int) -> UInt64 {
        get { words[row * width + word] }
        set { words[row * width + word] = newValue }
    }

    mutating func insert(_ bit: Int, row: Int) { self[bit / 64, row: row] |= 1 << UInt64(bit % 64) }
}

/// A row of bits in words of 64. The first word needs no memory of its own.
struct BitRow {
    private var head: UInt64 = 0
    private var rest: [UInt64] = []

    init(width: Int) {
        if width > 1 { rest = Array(repeating: 0, count: width - 1) }
    }

    var width: Int { rest.count + 1 }

    var isEmpty: Bool { head == 0 && rest.allSatisfy { $0 == 0 } }

    subscript(word: Int) -> UInt64 {
        get { word == 0 ? head : rest[word - 1] }
        set { if word == 0 { head = newValue } else { rest[word - 1] = newValue } }
    }

    func contains(_ bit: Int) -> Bool { self[bit / 64] & (1 << UInt64(bit % 64)) != 0 }

    mutating func insert(_ bit: Int) { self[bit / 64] |= 1 << UInt64(bit % 64) }
}
