// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Martlet

/// Events as lines of JSON (NDJSON): one object a line, blank lines skipped.
///
/// An object has `topic`, and may have `data`, `id`, `type`, `retry`, `key` and `private`. A batch is good or bad as a
/// whole.
enum EventBatch {
    /// - Throws: ``Problem`` that says which line and which field is at fault.
    static func parse(_ text: String, limits: Limits) throws(Problem) -> [Event] {
        var events: [Event] = []
        let decoder = JSONDecoder()
        for (index, line) in text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated() {
            guard line.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) else { continue }
            do {
                let event = try decoder.decode(Line.self, from: Data(line)).event
                try limits.check(event)
                events.append(event)
            } catch let error as MartletError {
                throw Problem(error, line: index + 1)
            } catch {
                throw problem(error, line: index + 1)
            }
        }
        guard !events.isEmpty else {
            throw Problem(.badRequest, "The batch is empty. Send one JSON object a line.", field: "data")
        }
        return events
    }

    private static func problem(_ error: any Error, line: Int) -> Problem {
        switch error as? DecodingError {
        case .keyNotFound(let key, _):
            return Problem(.badRequest, "\(key.stringValue) is missing.", field: key.stringValue, line: line)
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            guard let field = context.codingPath.first?.stringValue else {
                return Problem(.badRequest, "The line is not a JSON object.", line: line)
            }
            return Problem(.badRequest, "\(field) is of the wrong type: \(expected(field)).", field: field, line: line)
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            let field = context.codingPath[0].stringValue
            return Problem(.badRequest, context.debugDescription, field: field, line: line)
        default:
            return Problem(.badRequest, "The line is not valid JSON. Send one object a line.", line: line)
        }
    }

    private static func expected(_ field: String) -> String {
        switch field {
        case "retry": "a whole number of milliseconds"
        case "private": "true or false"
        default: "a string; JSON that is to be data has to be put into one"
        }
    }

    private struct Line: Decodable {
        let event: Event

        private enum CodingKeys: String, CodingKey, CaseIterable {
            case topic, data, id, type, retry, key
            case isPrivate = "private"
        }

        private struct AnyKey: CodingKey {
            let stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        init(from decoder: any Decoder) throws {
            let all = try decoder.container(keyedBy: AnyKey.self)
            if let unknown = all.allKeys.first(where: { CodingKeys(stringValue: $0.stringValue) == nil }) {
                let known = CodingKeys.allCases.map(\.stringValue).joined(separator: ", ")
                throw DecodingError.dataCorrupted(
                    .init(codingPath: [unknown], debugDescription: "There is no \(unknown.stringValue), only \(known).")
                )
            }
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            event = Event(
                topic: try Topic(try fields.decode(String.self, forKey: .topic)),
                data: try fields.decodeIfPresent(String.self, forKey: .data) ?? "",
                id: try fields.decodeIfPresent(String.self, forKey: .id),
                type: try fields.decodeIfPresent(String.self, forKey: .type),
                retry: try Self.retry(in: fields),
                key: try fields.decodeIfPresent(String.self, forKey: .key),
                isPrivate: try fields.decodeIfPresent(Bool.self, forKey: .isPrivate) ?? false)
        }

        /// A number that is not a whole one would be reported as malformed JSON, without its field.
        private static func retry(in fields: KeyedDecodingContainer<CodingKeys>) throws -> Int? {
            do {
                return try fields.decodeIfPresent(Int.self, forKey: .retry)
            } catch {
                let context = DecodingError.Context(codingPath: [CodingKeys.retry], debugDescription: "")
                throw DecodingError.typeMismatch(Int.self, context)
            }
        }
    }
}
