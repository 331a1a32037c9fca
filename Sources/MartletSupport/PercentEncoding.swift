// SPDX-License-Identifier: Apache-2.0

extension Collection<UInt8> {
    /// Undoes percent-encoding (RFC 3986 section 2.1) once. `nil` where two hex digits do not follow a `%`.
    ///
    /// - Parameter plusIsSpace: Whether `+` stands for a space, as in forms.
    @inlinable package func percentDecoded(plusIsSpace: Bool = false) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        var rest = makeIterator()
        while let byte = rest.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = rest.next()?.hexDigit, let low = rest.next()?.hexDigit else { return nil }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace:
                bytes.append(UInt8(ascii: " "))
            default:
                bytes.append(byte)
            }
        }
        return bytes
    }
}

extension UInt8 {
    /// Whether the byte is `unreserved` in RFC 3986 section 2.3.
    @inlinable package var isUnreserved: Bool {
        switch Unicode.Scalar(self) {
        case "a"..."z", "A"..."Z", "0"..."9", "-", ".", "_", "~": true
        default: false
        }
    }
}

extension String {
    /// The text in which only `unreserved` of RFC 3986 section 2.3 stands as it is: a simple expansion by RFC 6570
    /// section 3.2.2. Hex digits are upper-case.
    @inlinable package var percentEncoded: String {
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
