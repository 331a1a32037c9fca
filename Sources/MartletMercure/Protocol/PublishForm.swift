// SPDX-License-Identifier: Apache-2.0

import Martlet

/// The form that publishes an update in v0 (draft-dunglas-mercure-07, section "Publication").
///
///     topic=https%3A%2F%2Fexample.com%2Fbooks%2F1&data=hello&private=on&id=7&type=changed&retry=3000
///
/// `topic` may be repeated, and nothing else is read twice: the first value counts. Other fields are ignored. An empty
/// `id`, `type` or `retry` is none, and so is a `retry` of 0, which is what clients send that leave it out.
enum PublishForm {
    /// The most topics of one update.
    static let maximumTopics = 1000
    /// The most fields of a form: all topics, and some more.
    static let maximumFields = 1100

    /// - Throws: ``MercureProblem``: 400 for what is not a form or breaks a limit, 403 for a topic that is the hub's,
    ///   413 for too much data.
    static func parse(_ body: some Collection<UInt8>, limits: Limits = Limits()) throws(MercureProblem) -> Update {
        let fields = try FormFields(body, maximumCount: maximumFields)
        return Update(
            topics: try topics(of: fields, limits),
            data: try data(of: fields, limits),
            isPrivate: fields.contains("private"),
            id: try line("id", of: fields, atMost: limits.idBytes),
            type: try line("type", of: fields, atMost: limits.typeBytes),
            retry: try retry(of: fields, limits)
        )
    }

    private static func topics(of fields: FormFields, _ limits: Limits) throws(MercureProblem) -> [Topic] {
        let names = fields.values("topic")
        guard !names.isEmpty else {
            throw MercureProblem(400, "There is no topic. Name at least one: topic=orders/42.", field: "topic")
        }
        guard names.count <= maximumTopics else {
            throw MercureProblem(
                400, "There are \(names.count) topics. Name at most \(maximumTopics).", field: "topic")
        }
        var topics: [Topic] = []
        for name in names {
            guard name.utf8.count <= limits.topicBytes else {
                throw MercureProblem(400, "A topic is over \(limits.topicBytes) bytes. Shorten it.", field: "topic")
            }
            do {
                topics.append(try Topic(name))
            } catch {
                throw MercureProblem(error)
            }
            guard !ReservedNamespace.contains(name) else {
                throw MercureProblem(
                    403, "Topics in \(ReservedNamespace.path) are the hub's own. Choose another.", field: "topic")
            }
        }
        return topics
    }

    private static func data(of fields: FormFields, _ limits: Limits) throws(MercureProblem) -> String {
        let data = fields.text("data") ?? ""
        guard data.utf8.count <= limits.dataBytes else {
            throw MercureProblem(413, "The data is over \(limits.dataBytes) bytes. Send less.", field: "data")
        }
        return data
    }

    /// A field that is one line on the wire.
    private static func line(
        _ name: String, of fields: FormFields, atMost bytes: Int
    ) throws(MercureProblem) -> String? {
        guard let text = fields.text(name) else { return nil }
        guard text.utf8.count <= bytes else {
            throw MercureProblem(400, "The \(name) is over \(bytes) bytes. Shorten it.", field: name)
        }
        guard !text.hasControlCharacters else {
            throw MercureProblem(400, "The \(name) has control characters. Leave them out.", field: name)
        }
        return text
    }

    private static func retry(of fields: FormFields, _ limits: Limits) throws(MercureProblem) -> Int? {
        guard let text = fields.text("retry") else { return nil }
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            let message = "The retry is not a number of milliseconds. Write digits only, such as 3000."
            throw MercureProblem(400, message, field: "retry")
        }
        guard let retry = Int(text), retry <= limits.retryMilliseconds else {
            throw MercureProblem(
                400, "The retry is over \(limits.retryMilliseconds) milliseconds. Give less.", field: "retry")
        }
        return retry == 0 ? nil : retry
    }
}
