// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHTTP
import MartletSupport

/// The form that publishes an update in version 0 (draft-dunglas-mercure-07, section "Publication").
///
///     topic=https%3A%2F%2Fexample.com%2Fbooks%2F1&data=hello&private=on&id=7&type=changed&retry=3000
///
/// `topic` may be repeated: the first is the canonical topic, the others are alternates, and repetitions are ignored. Of
/// every other field, the first value counts. Unknown fields are ignored. An empty `id`, `type` or `retry` counts as
/// missing, and so does a `retry` of 0, because clients send these values for fields that they leave out.
enum PublishForm {
    /// The most fields of a form besides its topics.
    static let otherFields = 100

    /// - Throws: ``MercureProblem``: 400 for a field that is missing, malformed or breaks a limit, 403 for a topic of the
    ///   hub, 413 for too much data.
    static func event(
        of fields: FormFields, limits: Limits = Limits()
    ) throws(MercureProblem) -> Event {
        let topics = try topics(of: fields)
        let event = Event(
            topic: topics[0], alternates: Array(topics.dropFirst()), data: fields.text("data") ?? "",
            id: fields.text("id"), type: fields.text("type"), retry: try retry(of: fields),
            isPrivate: fields.all.contains { $0.name.isExactly("private") })
        do {
            try limits.check(event)
        } catch {
            throw MercureProblem(error)
        }
        return event
    }

    /// At least one.
    private static func topics(of fields: FormFields) throws(MercureProblem) -> [Topic] {
        var topics: [Topic] = []
        var seen: Set<Topic> = []
        for name in fields.values("topic") {
            do {
                let topic = try Topic(name)
                if seen.insert(topic).inserted { topics.append(topic) }
            } catch {
                throw MercureProblem(error)
            }
        }
        guard !topics.isEmpty else {
            throw MercureProblem(400, "There is no topic. Name at least one: topic=orders/42.", field: "topic")
        }
        return topics
    }

    private static func retry(of fields: FormFields) throws(MercureProblem) -> Int? {
        guard let text = fields.text("retry") else { return nil }
        guard text.utf8.allSatisfy(\.isDigit), let retry = Int(text) else {
            let message = "The retry is not a number of milliseconds. Write digits only, such as 3000."
            throw MercureProblem(400, message, field: "retry")
        }
        return retry == 0 ? nil : retry
    }
}
