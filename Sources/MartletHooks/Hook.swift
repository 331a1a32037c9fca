// SPDX-License-Identifier: Apache-2.0

import Foundation
import Martlet
import MartletSupport

/// What the application learns: that a topic has its first subscriber, or has lost the last one.
struct Hook: Hashable, Sendable {
    enum Event: String, Sendable {
        case occupied
        case vacated
        /// This sender has named all topics that are occupied. Those that it has not named are vacated.
        case synced
    }

    /// The same for each attempt to deliver the hook.
    var id: String
    var event: Event
    /// `nil` for ``Event/synced``.
    var selector: TopicSelector?
    var time: WallTime

    /// A JSON object on one line, whose members are always in the same order.
    var json: String {
        var members = ["\"id\":\(id.jsonQuoted)", "\"event\":\(event.rawValue.jsonQuoted)"]
        if let selector {
            members.append("\"\(selector.exactTopic == nil ? "pattern" : "topic")\":\(selector.text.jsonQuoted)")
        }
        let date = Date(timeIntervalSince1970: Double(time.milliseconds) / 1000)
        members.append("\"time\":\(date.formatted(.iso8601).jsonQuoted)")
        return "{\(members.joined(separator: ","))}"
    }

    /// The body of a request.
    static func body(_ hooks: [Hook], from sender: NodeName) -> [UInt8] {
        let list = hooks.map(\.json).joined(separator: ",")
        return Array("{\"sender\":\(sender.text.jsonQuoted),\"hooks\":[\(list)]}".utf8)
    }
}
