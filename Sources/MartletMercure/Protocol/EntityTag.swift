// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The strong entity tag of a document (RFC 9110 section 8.8.3): the FNV-1a hash of its bytes, of 64 bits. The same bytes
/// have the same tag in every process. It finds changes; it does not withstand who looks for two documents of one tag.
enum EntityTag {
    /// With its quotes, as in the header `ETag`.
    static func make(of document: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in document.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return "\"\(hash.hexText)\""
    }

    /// Whether `If-None-Match` holds the tag, so that the answer is 304 (RFC 9110 section 13.1.2: weak comparison).
    static func matches(_ tag: String, ifNoneMatch: String) -> Bool {
        ifNoneMatch.utf8.split(separator: UInt8(ascii: ",")).contains { entry in
            let trimmed = entry.filter { $0 != 0x20 && $0 != 0x09 }
            return trimmed.elementsEqual("*".utf8) || trimmed.elementsEqual(tag.utf8)
                || trimmed.elementsEqual("W/\(tag)".utf8)
        }
    }
}
