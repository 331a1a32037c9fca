// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHTTP
import MartletSupport

extension JSONValue {
    /// The JSON of an array; `nil` for other values.
    var arrayText: String? { if case .array = self { text } else { nil } }
}

extension SettingFormat<RetentionRules> {
    /// A JSON array of objects: `[{"topics": "chat/{id}", "events": 1000, "bytes": "1MiB", "age": "1h"}]`.
    static var retentionRules: Self {
        Self(
            valueName: "rules",
            expectation: """
                a JSON array of objects with topics (a topic or a pattern), and one or more of events, bytes and age, in \
                the ranges of history-events, history-bytes and history-age
                """,
            parse: { text in
                guard case .array(let rules)? = try? JSONValue(parsing: text.utf8) else { return nil }
                let parsed = rules.compactMap { rule(from: $0) }
                return parsed.count == rules.count ? RetentionRules(parsed) : nil
            },
            describe: { rules in "[\(rules.rules.map(text).joined(separator: ","))]" })
    }

    private static var events: SettingFormat<Int> { .count(HubSettings.eventRange) }
    private static var bytes: SettingFormat<Int> { .bytes(1...HubSettings.byteRange.upperBound) }
    private static var age: SettingFormat<Duration> { .duration(HubSettings.ageRange) }

    private static func rule(from value: JSONValue) -> RetentionRules.Rule? {
        guard case .object(let members) = value, let text = value["topics"]?.stringValue else { return nil }
        let names = ["topics", "events", "bytes", "age"]
        guard members.keys.allSatisfy({ key in names.contains { $0.isExactly(key) } }), members.count > 1 else {
            return nil
        }
        var rule = RetentionRules.Rule(topics: TopicSelector(text))
        // A malformed pattern would be the name of one topic.
        guard !rule.topics.isExact || rule.topics.exactTopic != nil && !text.containsExactly(UInt8(ascii: "{")) else {
            return nil
        }
        for (name, value) in members where !name.isExactly("topics") {
            let text = value.stringValue ?? value.wholeNumber.map { "\($0)" } ?? ""
            switch name {
            case "events":
                guard let events = events.parse(text) else { return nil }
                rule.events = events
            case "bytes":
                guard let bytes = bytes.parse(text) else { return nil }
                rule.bytes = bytes
            default:
                guard let age = age.parse(text) else { return nil }
                rule.age = age
            }
        }
        return rule
    }

    private static func text(_ rule: RetentionRules.Rule) -> String {
        var members = ["\"topics\":\(rule.topics.text.jsonQuoted)"]
        if let events = rule.events { members.append("\"events\":\(events)") }
        if let bytes = rule.bytes { members.append("\"bytes\":\(Self.bytes.describe(bytes).jsonQuoted)") }
        if let age = rule.age { members.append("\"age\":\(Self.age.describe(age).jsonQuoted)") }
        return "{\(members.joined(separator: ","))}"
    }
}
