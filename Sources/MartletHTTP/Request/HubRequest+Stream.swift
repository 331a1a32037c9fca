// SPDX-License-Identifier: Apache-2.0

package import Foundation
package import HTTPTypes
import MartletSupport

extension HTTPField.Name {
    package static let lastEventID = HTTPField.Name("Last-Event-ID")!
    fileprivate static let requestID = HTTPField.Name("X-Request-ID")!
}

/// Where a stream starts, and what its client calls it.
extension HubRequest {
    /// The query parameters that hold the id of the last event: those of Mercure 0, of Mercure 1, and of Mercure before
    /// draft 07.
    private static let lastEventIDNames = ["lastEventID", "last_event_id", "Last-Event-ID"]

    /// The id of the last event that the client saw, and the parameter that holds it (`nil`: the header). A reconnecting
    /// `EventSource` sends the header; a new page can only set a parameter. Empty values count as missing.
    ///
    /// - Throws: ``Problem`` of status 400 if the query is malformed.
    package var lastEventID: (id: String, parameter: String?)? {
        get throws(Problem) {
            let query = try query
            if let id = headers[.lastEventID], !id.isEmpty { return (id, nil) }
            for name in Self.lastEventIDNames {
                if let id = query.text(name) { return (id, name) }
            }
            return nil
        }
    }

    /// How far back a stream starts that has no ``lastEventID``: `?since=2026-11-24T18:00:00Z` (RFC 3339) or `?since=15m`.
    /// `nil`: it starts now.
    ///
    /// - Throws: ``Problem`` of status 400 if it is neither a time nor a duration, or the query is malformed.
    package var since: Duration? {
        get throws(Problem) {
            try query.values("since").first.map { text throws(Problem) in try Self.age(since: text) }
        }
    }

    /// Whether the stream begins with the current value of each key (`?state=latest`).
    ///
    /// - Throws: ``Problem`` of status 400 if it says something else, or the query is malformed.
    package var beginsWithValues: Bool {
        get throws(Problem) {
            guard let text = try query.values("state").first else { return false }
            guard text.isExactly("latest") else {
                throw Problem(.badRequest, "There is only state=latest.", field: "state")
            }
            guard try query.values("since").isEmpty else {
                throw Problem(.badRequest, "A stream begins at since or with state, not with both.", field: "state")
            }
            return true
        }
    }

    /// What the stream has besides events (`?profile=plain`, `?heartbeat=event`).
    ///
    /// - Throws: ``Problem`` of status 400 if it says something else, or the query is malformed.
    var profile: StreamProfile {
        get throws(Problem) {
            let query = try query
            guard !query.all.isEmpty else { return .standard }
            func isSet(_ name: String, to value: String) throws(Problem) -> Bool {
                let values = query.values(name)
                guard values.allSatisfy({ $0.isExactly(value) }) else {
                    throw Problem(.badRequest, "There is only \(name)=\(value). Leave it out otherwise.", field: name)
                }
                return !values.isEmpty
            }
            let (isPlain, hasEvents) = (try isSet("profile", to: "plain"), try isSet("heartbeat", to: "event"))
            guard !isPlain || !hasEvents else {
                throw Problem(
                    .badRequest, "A plain stream has only events of the application. Leave out heartbeat or profile.",
                    field: "heartbeat")
            }
            return isPlain ? .plain : hasEvents ? .heartbeatEvents : .standard
        }
    }

    /// How long ago a moment was; zero for the future.
    ///
    /// - Parameter text: A time or a duration, as in ``since``.
    /// - Throws: ``Problem`` of status 400 if it is neither.
    package static func age(since text: String, now: Date = .now) throws(Problem) -> Duration {
        if let time = Date(rfc3339: text) { return max(.zero, .seconds(now.timeIntervalSince(time))) }
        // A number without a unit could be a time in some other form.
        if text.utf8.last?.isDigit == false, let age = UnitScale.milliseconds.parse(text) { return .milliseconds(age) }
        throw Problem(
            .badRequest,
            "Since is neither a time nor a duration. Write since=2026-11-24T18:00:00Z, or since=15m (ms, s, m, h, d).",
            field: "since")
    }

    /// The longest ``streamName``, in bytes of UTF-8.
    private static let maximumStreamNameBytes = 128

    /// The name that the client gives the stream (`?stream=…`), to renew it while it is open.
    ///
    /// - Throws: ``Problem`` of status 400 if the name is empty or too long, or the query is malformed.
    var streamName: String? {
        get throws(Problem) {
            guard let name = try query.values("stream").first else { return nil }
            try Self.checkStreamName(name)
            return name
        }
    }

    /// The longest ``requestID``, in bytes of UTF-8.
    private static let maximumRequestIDBytes = 128

    /// How the client, or a proxy, calls the request (`X-Request-ID`), for logs. `nil` if it has no such name, or one that
    /// is too long.
    var requestID: String? {
        headers[values: .requestID].first.flatMap { id in
            (1...Self.maximumRequestIDBytes).contains(id.utf8.count) ? id : nil
        }
    }

    static func checkStreamName(_ name: String) throws(Problem) {
        guard name.isEmpty || name.utf8.count > maximumStreamNameBytes else { return }
        throw Problem(
            .badRequest, "The name of a stream has 1 to \(maximumStreamNameBytes) bytes.", field: "stream")
    }
}
