// SPDX-License-Identifier: Apache-2.0

import Foundation
import Martlet
import MartletSupport

/// What the application learns: that a topic has its first subscriber, or has lost the last one, or that a stream has ended.
struct Hook: Hashable, Sendable {
    enum Event: String, Sendable {
        case occupied
        case vacated
        /// This sender has named all topics that are occupied. Those that it has not named are vacated.
        case synced
        /// A stream has ended.
        case closed
    }

    /// The same for each attempt to deliver the hook.
    var id: String
    var event: Event
    /// The topic that is occupied or vacated.
    var selector: TopicSelector?
    /// The stream that has ended.
    var stream: EndedStream?
    var time: WallTime

    /// A JSON object on one line, whose members are always in the same order.
    var json: String {
        var members = ["\"id\":\(id.jsonQuoted)", "\"event\":\(event.rawValue.jsonQuoted)"]
        if let selector {
            members.append("\"\(selector.exactTopic == nil ? "pattern" : "topic")\":\(selector.text.jsonQuoted)")
        }
        if let stream { members += Self.members(of: stream) }
        let date = Date(timeIntervalSince1970: Double(time.milliseconds) / 1000)
        members.append("\"time\":\(date.formatted(.iso8601).jsonQuoted)")
        return "{\(members.joined(separator: ","))}"
    }

    /// The most topics of a stream in a hook.
    private static let mostTopics = 16

    private static func members(of stream: EndedStream) -> [String] {
        let topics = stream.topics.map(\.text).sorted()
        let list = topics.prefix(mostTopics).map(\.jsonQuoted).joined(separator: ",")
        var members = [
            "\"reason\":\(stream.reason.rawValue.jsonQuoted)", "\"topics\":[\(list)]",
            "\"duration_ms\":\(stream.duration.wholeMilliseconds)", "\"events\":\(stream.events)",
            "\"bytes\":\(stream.bytes)",
        ]
        if topics.count > mostTopics { members.append("\"more_topics\":\(topics.count - mostTopics)") }
        return members + stream.origin.map { "\($0.name.jsonQuoted):\($0.text.jsonQuoted)" }
    }

    /// The body of a request.
    static func body(_ hooks: [Hook], from sender: NodeName) -> [UInt8] {
        let list = hooks.map(\.json).joined(separator: ",")
        return Array("{\"sender\":\(sender.text.jsonQuoted),\"hooks\":[\(list)]}".utf8)
    }
}
