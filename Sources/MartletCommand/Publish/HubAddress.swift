// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// Where a hub is: `http://localhost:8080`, or behind a proxy `https://example.com/hub`.
struct HubAddress: Equatable, Sendable {
    /// Where batches are posted to.
    let events: String

    /// - Throws: `ValidationError`, which does not repeat the text: there may be a password in it.
    init(_ text: String) throws {
        guard let url = URL(string: text), ["http", "https"].contains(url.scheme?.lowercased()), url.host() != nil,
            url.host() != "", url.user == nil, url.query == nil, url.fragment == nil
        else {
            throw ValidationError(
                "The URL is not that of a hub, such as http://localhost:8080; give credentials with --token-file")
        }
        let base = url.absoluteString.hasSuffix("/") ? String(url.absoluteString.dropLast()) : url.absoluteString
        // Published to a topic, a batch would be one event.
        guard !url.pathComponents.contains("events") else {
            throw ValidationError("Give the URL of the hub without /events, and the topic as an argument of its own")
        }
        events = base + "/events"
    }
}
