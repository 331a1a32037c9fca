// SPDX-License-Identifier: Apache-2.0

package import Foundation
import HTTPTypes
import MartletSupport
import MartletValues

/// From when on a client wants what was published, where it does not say what it saw last: `?since=2026-11-24T18:00:00Z`,
/// a time (RFC 3339), or `?since=15m`, how long ago that was.
package enum Since {
    /// How long ago it was; zero for what is still to come.
    ///
    /// - Throws: ``Problem`` of status 400 where it is neither.
    package static func find(
        in query: [(name: String, value: String)], now: Date = .now
    ) throws(Problem) -> Duration? {
        guard let text = query.values("since").first else { return nil }
        guard let age = age(text, now: now) else {
            throw Problem(
                .badRequest,
                "Since is neither a time nor a duration. Write since=2026-11-24T18:00:00Z, or since=15m (ms, s, m, h, d).",
                field: "since")
        }
        return max(.zero, age)
    }

    private static func age(_ text: String, now: Date) -> Duration? {
        if let time = Date(rfc3339: text) { return .seconds(now.timeIntervalSince(time)) }
        // A number without a unit may be meant as a time of any kind.
        guard let last = text.utf8.last, !last.isDigit else { return nil }
        return UnitScale.milliseconds.parse(text).map { .milliseconds($0) }
    }
}
