// SPDX-License-Identifier: Apache-2.0

extension UInt8 {
    /// Whether the byte is `unreserved` in RFC 3986 section 2.3.
    var isUnreserved: Bool {
        switch Unicode.Scalar(self) {
        case "a"..."z", "A"..."Z", "0"..."9", "-", ".", "_", "~": true
        default: false
        }
    }
}

extension String {
    /// The text in which only `unreserved` of RFC 3986 section 2.3 stands as it is: a simple expansion by RFC 6570
    /// section 3.2.2. Hex digits are upper-case.
    var percentEncoded: String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(utf8.count)
        for byte in utf8 {
            if byte.isUnreserved {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 0xF)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
