// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Values as the data of events: JSON (RFC 8259) on one line.
///
/// Keys are sorted and slashes are not escaped, so equal values have equal texts. Times are ISO 8601 in UTC with
/// milliseconds, as JavaScript writes them.
package enum EventJSON {
    private static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .custom { date, encoder in
            guard writableDates.contains(date) else {
                let context = EncodingError.Context(
                    codingPath: encoder.codingPath, debugDescription: "The year must have four digits.")
                throw EncodingError.invalidValue(date, context)
            }
            // Formatting rounds down, and a time that was read back may be just below its millisecond.
            let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
            var container = encoder.singleValueContainer()
            try container.encode(date.addingTimeInterval(0.0005).formatted(style))
        }
        return encoder
    }()

    private static let decoder: JSONDecoder = {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let container = try decoder.singleValueContainer()
            guard let date = Date(rfc3339: try container.decode(String.self)) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "The time must be ISO 8601.")
            }
            return date
        }
        return decoder
    }()

    /// From the year 0001 to the year 9999.
    private static let writableDates =
        Date(timeIntervalSince1970: -62_135_596_800)..<Date(timeIntervalSince1970: 253_402_300_799.999)

    package static func text(of value: some Encodable) throws -> String {
        String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    package static func value<Value: Decodable>(_ type: Value.Type = Value.self, of text: String) throws -> Value {
        try decoder.decode(type, from: Data(text.utf8))
    }
}
