// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing
import MartletSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// An event to publish with a ``HubClient``.
public struct HubEvent: Hashable, Sendable {
    /// The topic: any text for a Martlet hub, usually a URL for other Mercure hubs.
    public var topic: String
    /// Other topics whose subscribers receive the event, too, once. Only Mercure has them.
    public var alternates: [String]
    /// Any text, also with several lines, also empty.
    public var data: String
    /// The id; `nil` for one that the hub makes. Some Mercure hubs treat it as the name of the event everywhere, so it
    /// should be unique, such as `urn:uuid:…`.
    public var id: String?
    /// The type, under which an ``EventSource`` dispatches the event; `nil` for `message`.
    public var type: String?
    /// How long subscribers wait before they reconnect, in milliseconds; `nil` for no change.
    public var retry: Int?
    /// Events with the same key replace each other where only the latest counts. Mercure has no keys.
    public var key: String?
    /// Whether the event is only for subscribers that have a right to one of its topics.
    public var isPrivate: Bool

    /// Makes an event. The client and the hub check it when you publish it.
    public init(
        _ data: String = "", to topic: String, alternates: [String] = [], id: String? = nil, type: String? = nil,
        retry: Int? = nil, key: String? = nil, isPrivate: Bool = false
    ) {
        self.topic = topic
        self.alternates = alternates
        self.data = data
        self.id = id
        self.type = type
        self.retry = retry
        self.key = key
        self.isPrivate = isPrivate
    }
}

extension HubEvent {
    /// What a client publishes: an event, or a JSON object that the hub is to check.
    package enum Source: Equatable, Sendable {
        case event(HubEvent)
        case json([UInt8])
    }

    /// - Throws: ``HubError`` with the code ``HubError/Code/invalidRequest``.
    func check(for interface: HubClient.Interface) throws(HubError) {
        let fault: String? =
            if retry ?? 0 < 0 {
                "The retry is negative. Give milliseconds from 0, or nil for none."
            } else if interface == .martlet, !alternates.isEmpty {
                "Only Mercure has alternate topics. Publish to each topic, or use HubClient(mercure:)."
            } else if interface == .mercure, key != nil {
                "Mercure has no keys. Leave the key out, or use HubClient(_:) for a Martlet hub."
            } else {
                nil
            }
        if let fault { throw HubError(.invalidRequest, fault) }
    }

    /// A line of a batch.
    func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(
            try encoder.encode(
                Members(
                    topic: topic, data: data, id: id, type: type, retry: retry, key: key,
                    private: isPrivate ? true : nil)))
    }

    private struct Members: Encodable {
        let topic: String
        let data: String
        let id: String?
        let type: String?
        let retry: Int?
        let key: String?
        let `private`: Bool?
    }

    /// Where to post the data to, as they are, at a Martlet hub: everything else is in the URL.
    func url(below events: OutgoingURL) throws(HubError) -> OutgoingURL {
        let fields = options + [("key", key), ("private", isPrivate ? "true" : nil)]
        let query = URLQuery.text(fields.compactMap { name, value in value.map { (name, $0) } })
        return try OutgoingURL(hub: "\(events.text)/\(topic.percentEncoded)\(query.isEmpty ? "" : "?\(query)")")
    }

    /// The form that a Mercure hub takes.
    var form: [UInt8] {
        var fields = ([topic] + alternates).map { ("topic", $0) }
        if isPrivate { fields.append(("private", "on")) }
        for (name, value) in [("data", data.isEmpty ? nil : data)] + options {
            if let value { fields.append((name, value)) }
        }
        return Array(URLQuery.text(fields).utf8)
    }

    private var options: [(String, String?)] { [("id", id), ("type", type), ("retry", retry.map(String.init))] }
}
