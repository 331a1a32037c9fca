// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// The events that the checks append.
enum SampleEvents {
    static let topics: [Topic] = ["orders/1", "orders/2", "news", "na\u{EF}ve//p\u{E4}th"]

    /// All events of all topics.
    static let selection = Selection(topics: Set(topics), includesPrivate: true)

    /// Different selections of ``topics``.
    static let selections =
        [selection, Selection(topics: Set(topics))]
        + topics.map { Selection(topics: [$0], includesPrivate: true) }
        + [Selection(topics: ["orders/1", "news"]), Selection(topics: ["orders/2", "other"], includesPrivate: true)]

    /// Events of all topics in turns, with all fields of an event. No two are equal.
    static let mixed: [Event] = (0..<24).map { number in
        let event = Event(
            topic: topics[number * 7 / 3 % topics.count],
            alternates: number % 8 == 6 ? [topics[(number + 1) % topics.count], "other"] : [],
            data: ["", "two\nlines ", "\u{1F426} \r\n e\u{301}", "{\"a\":[1,2]}"][number % 4] + "\(number)",
            id: number % 5 == 0 ? "chosen:\(number)" : nil,
            type: number % 3 == 1 ? "update" : nil,
            retry: number % 7 == 2 ? number : nil,
            key: number % 4 == 3 ? "key-\(number % 2)" : nil,
            isPrivate: number % 3 == 2
        )
        return number % 5 == 3 ? traced([event], UInt64(number))[0] : event
    }

    /// Events as parts of a trace.
    static func traced(_ events: [Event], _ span: UInt64) -> [Event] {
        events.map { event in
            var event = event
            event.traceParent = TraceParent("00-4bf92f3577b34da6a3ce929d0e0e4736-\(span.hexText)-01")
            return event
        }
    }

    /// The same without private events that have several topics: a log need not remember their rights.
    static let history: [Event] = mixed.map { event in
        var event = event
        if !event.alternates.isEmpty { event.isPrivate = false }
        return event
    }

    /// Events of all topics in turns, each with an id and different data.
    static let named: [Event] = (0..<24).map { number in
        Event(topic: topics[number % topics.count], data: "\(number)", id: "chosen:\(number)")
    }

    /// Texts that start with a scalar that joins the character before it, and texts that are canonically equivalent.
    private static let spellings = [
        "\u{301}x", "x", "\u{200D}x", "\u{FE0F}x", "\u{20DD}", "\u{1F3FB}x", " x", " \u{301}x", "x ", "\u{E9}",
        "e\u{301}",
        "\u{212A}", "K", "\u{37E}", ";",
    ]

    /// Pairs of texts that are canonically equivalent and have different bytes.
    private static let equivalents = [
        ("\u{E9}", "e\u{301}"), ("\u{212A}", "K"), ("a\u{316}\u{301}", "a\u{301}\u{316}"),
    ]

    static let spelledTopics: [Topic] = spellings.map(topic)

    /// One event for each spelling, which is in its topic and in every other text.
    static let spelled: [Event] = spellings.enumerated().map { number, text in
        Event(
            topic: topic(text), alternates: number % 3 == 0 ? [topic(spellings[(number + 1) % spellings.count])] : [],
            data: text, id: "of \(text).", type: text, key: text)
    }

    /// The same, with one topic each.
    static let spelledApart: [Event] = spelled.map { Event(topic: $0.topic, data: $0.data) }

    /// Pairs of events that differ in the spelling of one text.
    static let otherSpellings: [(Event, Event)] = equivalents.flatMap { text, other in
        let event = Event(topic: topic(text), alternates: [topic(text)], data: text, id: text, type: text, key: text)
        let changes: [WritableKeyPath<Event, String?>] = [\.id, \.type, \.key]
        var others = changes.map { change in
            var changed = event
            changed[keyPath: change] = other
            return changed
        }
        others += [\Event.topic, \Event.alternates[0]].map { (change: WritableKeyPath<Event, Topic>) in
            var changed = event
            changed[keyPath: change] = topic(other)
            return changed
        }
        var changed = event
        changed.data = other
        return (others + [changed]).map { (event, $0) }
    }

    private static func topic(_ name: String) -> Topic {
        do {
            return try Topic(name)
        } catch {
            preconditionFailure("\(name.debugDescription) is not a topic: \(error)")
        }
    }

    /// Events of one topic with different data.
    static func numbered(_ numbers: Range<Int>, _ topic: Topic = topics[0]) -> [Event] {
        numbers.map { Event(topic: topic, data: "\($0)") }
    }
}

/// Throws unless the events are the expected ones, each topic in order. The log decides on the order between topics.
func require(_ events: [Event], are expected: [Event], _ what: @autoclosure () -> String) throws {
    let groups = Dictionary(grouping: events, by: \.topic)
    let expectedGroups = Dictionary(grouping: expected, by: \.topic)
    for topic in Set(groups.keys).union(expectedGroups.keys) {
        let found = groups[topic] ?? []
        let wanted = expectedGroups[topic] ?? []
        guard found != wanted else { continue }
        throw ContractViolation(
            "\(what()): the events of \(topic) are \(found.map(\.data)), and should be \(wanted.map(\.data))"
        )
    }
}

/// Throws unless the events include every later one, and of the event's own topic no other.
func require(_ events: [Event], follow number: Int, of accepted: [Event], _ what: @autoclosure () -> String) throws {
    let later = accepted[(number + 1)...]
    for topic in Set(accepted.map(\.topic)) {
        let found = events.filter { $0.topic == topic }
        let wanted = later.filter { $0.topic == topic }
        let isRight = topic == accepted[number].topic ? found == wanted : found.suffix(wanted.count) == wanted[...]
        guard !isRight else { continue }
        throw ContractViolation(
            "\(what()): the events of \(topic) are \(found.map(\.data)), and should be \(wanted.map(\.data))"
        )
    }
}
