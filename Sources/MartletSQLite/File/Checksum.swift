// SPDX-License-Identifier: Apache-2.0

/// Tells whether a row is what was written. Changing any one value always changes the sum, since every step is a bijection
/// of the state. It protects from accidents, not from anybody who can write to the file.
struct Checksum {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// As SQLite keeps it.
    var value: Int64 { Int64(bitPattern: state) }

    mutating func combine(_ word: UInt64) {
        state = (state ^ word) &* 0xFF51_AFD7_ED55_8CCD
        state ^= state >> 32
    }

    mutating func combine(_ word: Int64) { combine(UInt64(bitPattern: word)) }

    /// - Parameter bytes: `nil` is something else than none.
    mutating func combine(_ bytes: UnsafeRawBufferPointer?) {
        guard let bytes else { return combine(UInt64.max) }
        combine(UInt64(bytes.count))
        var offset = 0
        while offset + 8 <= bytes.count {
            combine(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset += 8
        }
        combine(bytes[offset...].reduce(0) { $0 << 8 | UInt64($1) })
    }

    mutating func combine(_ text: String?) {
        guard var text else { return combine(UInt64.max) }
        text.withUTF8 { combine(UnsafeRawBufferPointer($0)) }
    }
}
