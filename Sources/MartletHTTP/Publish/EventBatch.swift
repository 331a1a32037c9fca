// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet
import MartletSupport

/// Events as lines of JSON (NDJSON): one object in each line. Blank lines are ignored.
///
/// An object has `topic`, and may have `data`, `id`, `type`, `retry`, `key` and `private`, each once. A batch is accepted or
/// refused as a whole.
enum EventBatch {
    private static let members = ["topic", "data", "id", "type", "retry", "key", "private"]

    /// Yields the thread after each slice of the text.
    ///
    /// - Throws: ``Problem`` that names the line and the field at fault.
    static func parse(_ text: String, limits: Limits) async throws(Problem) -> [Event] {
        var events: [Event] = []
        var pace = CPUBoundWork.Pace()
        var rest = Array(text.utf8)[...]
        var number = 0
        while !rest.isEmpty {
            number += 1
            let line = rest[..<(rest.firstIndex(of: 0x0A) ?? rest.endIndex)]
            rest = rest[line.endIndex...].dropFirst()
            await pace.take(line.count + 1)
            guard !line.allSatisfy({ $0.isBlank || $0 == 0x0D }) else { continue }
            do {
                let event = try event(line)
                try limits.check(event)
                events.append(event)
            } catch {
                var problem = error as? Problem ?? (error as? MartletError).map { Problem($0) } ?? .noJSON
                problem.line = number
                throw problem
            }
        }
        guard !events.isEmpty else {
            throw Problem(.badRequest, "The batch is empty. Send one JSON object a line.", field: "data")
        }
        return events
    }

    private static func event(_ line: ArraySlice<UInt8>) throws -> Event {
        let json: JSONValue
        do {
            json = try JSONValue(parsing: line)
        } catch {
            guard let name = error.repeatedMember else { throw Problem.noJSON }
            let field = name.shortened
            throw Problem(.badRequest, "\(field) is in the line twice. Leave one out.", field: field)
        }
        guard case .object(let object) = json else { throw Problem(.badRequest, "The line is not a JSON object.") }
        if let unknown = object.keys.filter({ name in !members.contains { $0.isExactly(name) } }).min() {
            let field = unknown.shortened
            let known = members.joined(separator: ", ")
            throw Problem(.badRequest, "There is no \(field), only \(known).", field: field)
        }
        guard json["topic"] != nil else { throw Problem(.badRequest, "topic is missing.", field: "topic") }
        guard let topic = try json.text("topic") else { throw Problem.wrongType(of: "topic", JSONValue.text) }
        return Event(
            topic: try Topic(topic), data: try json.text("data") ?? "", id: try json.text("id"),
            type: try json.text("type"), retry: try json.read("retry", "a whole number of milliseconds", \.wholeNumber),
            key: try json.text("key"), isPrivate: try json.read("private", "true or false", \.boolValue) ?? false)
    }
}

extension JSONValue {
    fileprivate static let text = "a string; write JSON data as a string"

    /// The text of a member; `nil` if it is missing or `null`.
    fileprivate func text(_ name: String) throws(Problem) -> String? {
        try read(name, Self.text, \.stringValue)
    }

    fileprivate func read<Value>(
        _ name: String, _ expected: String, _ read: (JSONValue) -> Value?
    ) throws(Problem) -> Value? {
        guard let member = self[name], !member.isNull else { return nil }
        guard let value = read(member) else { throw .wrongType(of: name, expected) }
        return value
    }
}

extension Problem {
    fileprivate static let noJSON = Problem(.badRequest, "The line is not valid JSON. Send one object a line.")

    fileprivate static func wrongType(of field: String, _ expected: String) -> Problem {
        Problem(.badRequest, "\(field) is of the wrong type: \(expected).", field: field)
    }
}

extension String {
    /// At most 64 scalars of a name from a client, for messages.
    fileprivate var shortened: String {
        unicodeScalars.count <= 64 ? self : String(String.UnicodeScalarView(unicodeScalars.prefix(64))) + "…"
    }
}
