// SPDX-License-Identifier: Apache-2.0

extension Sequence<UInt8> {
    /// Whether the bytes are a `token` of RFC 9110 section 5.6.2: the form of names of fields, methods and media types.
    package var isHTTPToken: Bool {
        var isEmpty = true
        for byte in self {
            guard byte.isHTTPTokenCharacter else { return false }
            isEmpty = false
        }
        return !isEmpty
    }

    /// Whether HTTP clients send the bytes as the value of a field: no control character but a tab. What is not ASCII
    /// goes as it is.
    package var isHTTPFieldValue: Bool { allSatisfy { $0 == 0x09 || $0 >= 0x20 && $0 != 0x7F } }
}

extension UInt8 {
    package var isHTTPTokenCharacter: Bool {
        switch Unicode.Scalar(self) {
        case "a"..."z", "A"..."Z", "0"..."9": true
        case "!", "#", "$", "%", "&", "'", "*", "+", "-", ".", "^", "_", "`", "|", "~": true
        default: false
        }
    }
}
