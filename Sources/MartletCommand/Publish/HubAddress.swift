// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MartletOutgoing
import MartletSupport

/// Where a hub is: `http://localhost:8080`, or behind a proxy `https://example.com/hub`.
struct HubAddress: Equatable, Sendable {
    /// Where batches are posted to.
    let events: OutgoingURL

    /// - Throws: `ValidationError`, which does not repeat the text: there may be a password in it.
    init(_ text: String) throws {
        do {
            let url = try OutgoingURL(text)
            guard !text.containsExactly(UInt8(ascii: "?")), !text.containsExactly(UInt8(ascii: "#")) else {
                throw ValidationError("The URL of a hub has no query and no fragment; give it without them")
            }
            // Published to a topic, a batch would be one event.
            guard !url.requestTarget.splitExactly(at: UInt8(ascii: "/")).contains(where: { $0.isExactly("events") })
            else {
                throw ValidationError(
                    "Give the URL of the hub without /events, and the topic as an argument of its own")
            }
            events = try OutgoingURL(url.text + (url.text.endsExactly(with: "/") ? "events" : "/events"))
        } catch let error as OutgoingURLError {
            throw ValidationError(
                "The URL \(error), such as http://localhost:8080\(error == .user ? "; give a token with --token-file" : "")"
            )
        }
    }

    /// Where one event is posted to, whose data are the body.
    func event(_ template: EventTemplate) throws(OutgoingURLError) -> OutgoingURL {
        let fields = [
            ("id", template.id), ("type", template.type), ("retry", template.retry.map(String.init)),
            ("key", template.key), ("private", template.isPrivate ? "true" : nil),
        ]
        let parameters = fields.compactMap { name, value in value.map { "\(name)=\($0.percentEncoded)" } }
        let query = parameters.isEmpty ? "" : "?\(parameters.joined(separator: "&"))"
        return try OutgoingURL("\(events.text)/\(template.topic.percentEncoded)\(query)")
    }
}
