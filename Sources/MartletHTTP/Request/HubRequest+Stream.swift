// SPDX-License-Identifier: Apache-2.0

package import Foundation
package import HTTPTypes
import MartletSupport

extension HTTPField.Name {
    package static let lastEventID = HTTPField.Name("Last-Event-ID")!
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

    static func checkStreamName(_ name: String) throws(Problem) {
        guard name.isEmpty || name.utf8.count > maximumStreamNameBytes else { return }
        throw Problem(
            .badRequest, "The name of a stream has 1 to \(maximumStreamNameBytes) bytes.", field: "stream")
    }
}
