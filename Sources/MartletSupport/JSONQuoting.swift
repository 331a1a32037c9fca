// SPDX-License-Identifier: Apache-2.0

extension String {
    /// The text as a JSON string with its quotes (RFC 8259 section 7), on one line. Only characters that JSON must escape are escaped.
    package var jsonQuoted: String {
        var json: [UInt8] = [UInt8(ascii: "\"")]
        json.reserveCapacity(utf8.count + 2)
        for byte in utf8 {
            switch Unicode.Scalar(byte) {
            case "\"", "\\": json += [UInt8(ascii: "\\"), byte]
            case "\n": json += "\\n".utf8
            case "\r": json += "\\r".utf8
            case "\t": json += "\\t".utf8
            case "\0"..."\u{1F}":
                json += "\\u\(UInt16(byte).hexText)".utf8
            default: json.append(byte)
            }
        }
        json.append(UInt8(ascii: "\""))
        return String(decoding: json, as: UTF8.self)
    }
}
