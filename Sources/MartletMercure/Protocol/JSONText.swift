// SPDX-License-Identifier: Apache-2.0

extension String {
    /// The text as a JSON string with its quotes (RFC 8259 section 7), on one line. Only what must be is escaped.
    var jsonQuoted: String {
        var json: [UInt8] = [UInt8(ascii: "\"")]
        json.reserveCapacity(utf8.count + 2)
        for byte in utf8 {
            switch Unicode.Scalar(byte) {
            case "\"", "\\": json += [UInt8(ascii: "\\"), byte]
            case "\n": json += "\\n".utf8
            case "\r": json += "\\r".utf8
            case "\t": json += "\\t".utf8
            case "\0"..."\u{1F}":
                let hex = String(byte, radix: 16)
                json += "\\u\(String(repeating: "0", count: 4 - hex.utf8.count))\(hex)".utf8
            default: json.append(byte)
            }
        }
        json.append(UInt8(ascii: "\""))
        return String(decoding: json, as: UTF8.self)
    }
}
