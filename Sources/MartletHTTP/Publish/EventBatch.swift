// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet
import MartletSupport

/// Events as lines of JSON (NDJSON): one object in each line. Blank lines are ignored.
///
/// An object has `topic`, and may have `data`, `id`, `type`, `retry`, `key` and `private`, each once. A batch is accepted or
/// refused as a whole.
enum EventBatch {
    /// Yields the thread after each slice of the text.
    ///
    /// - Throws: ``Problem`` that names the line and the field at fault.
    static func parse(_ text: String, limits: Limits) async throws(Problem) -> [Event] {
        let text = Array(text.utf8)
        var events: [Event] = []
        var pace = CPUBoundWork.Pace()
        var next = 0
        var number = 0
        while next < text.count {
            number += 1
            let line = next..<(text[next...].firstIndex(of: 0x0A) ?? text.count)
            next = line.upperBound + 1
            if pace.isOver(after: line.count + 1) { await Task.yield() }
            guard !text[line].allSatisfy({ $0.isBlank || $0 == 0x0D }) else { continue }
            do {
                let event = try event(JSONParser(text, in: line))
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

    /// The event of a line.
    static func event(_ line: [UInt8]) throws -> Event { try event(JSONParser(line, in: line.indices)) }

    private static func event(_ parser: consuming JSONParser) throws -> Event {
        var line = Line()
        do {
            guard try parser.parseObject({ line.add($0, $1) }) else {
                throw Problem(.badRequest, "The line is not a JSON object.")
            }
        } catch let error as JSONError {
            guard let name = error.repeatedMember else { throw Problem.noJSON }
            let field = name.shortened
            throw Problem(.badRequest, "\(field) is in the line twice. Leave one out.", field: field)
        }
        return try line.event
    }
}

/// The members of a line.
private struct Line {
    private static let names = ["topic", "data", "id", "type", "retry", "key", "private"]

    private var topic: JSONValue?
    private var data: JSONValue?
    private var id: JSONValue?
    private var type: JSONValue?
    private var retry: JSONValue?
    private var key: JSONValue?
    private var isPrivate: JSONValue?
    private var unknown: Set<String> = []

    /// Returns whether the member is the first of its name. No other name is equal to a known one in Unicode.
    mutating func add(_ name: String, _ value: JSONValue) -> Bool {
        switch name {
        case "topic": Self.set(&topic, value)
        case "data": Self.set(&data, value)
        case "id": Self.set(&id, value)
        case "type": Self.set(&type, value)
        case "retry": Self.set(&retry, value)
        case "key": Self.set(&key, value)
        case "private": Self.set(&isPrivate, value)
        default: unknown.insert(name).inserted
        }
    }

    private static func set(_ member: inout JSONValue?, _ value: JSONValue) -> Bool {
        guard member == nil else { return false }
        member = value
        return true
    }

    var event: Event {
        get throws {
            if let unknown = unknown.min() {
                let field = unknown.shortened
                let known = Self.names.joined(separator: ", ")
                throw Problem(.badRequest, "There is no \(field), only \(known).", field: field)
            }
            guard topic != nil else { throw Problem(.badRequest, "topic is missing.", field: "topic") }
            guard let topic = try Self.text(topic, "topic") else { throw Problem.wrongType(of: "topic", Self.text) }
            return Event(
                topic: try Topic(topic), data: try Self.text(data, "data") ?? "", id: try Self.text(id, "id"),
                type: try Self.text(type, "type"),
                retry: try Self.read(retry, "retry", "a whole number of milliseconds", \.wholeNumber),
                key: try Self.text(key, "key"),
                isPrivate: try Self.read(isPrivate, "private", "true or false", \.boolValue) ?? false)
        }
    }

    private static let text = "a string; write JSON data as a string"

    /// The text of a member; `nil` if it is missing or `null`.
    private static func text(_ member: JSONValue?, _ name: String) throws(Problem) -> String? {
        try read(member, name, text) { $0.stringValue }
    }

    private static func read<Value>(
        _ member: JSONValue?, _ name: String, _ expected: String, _ read: (JSONValue) -> Value?
    ) throws(Problem) -> Value? {
        guard let member, !member.isNull else { return nil }
        guard let value = read(member) else { throw .wrongType(of: name, expected) }
        return value
    }
}

extension Problem {
    static let noJSON = Problem(.badRequest, "The line is not valid JSON. Send one object a line.")

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
