// SPDX-License-Identifier: Apache-2.0

import Foundation
import Martlet
import MartletSupport

/// A grant as nodes give it to each other: JSON.
struct SharedGrant: Codable, Sendable {
    private var principal: String?
    private var subscribe: [String]
    private var seesAllPublic: Bool
    private var limitedTo: [String]?
    private var end: Date?
    private var payload: String?
    /// When it was judged, in milliseconds since 1970, by the clock of the node that did.
    private var judged: Int64

    /// How much the clocks of nodes may differ. A grant counts as that much older, so that it does not escape a revocation.
    static let clockDifference = Duration.seconds(1)
    /// The greatest age: a grant that says it is older counts as this old.
    private static let longest = Duration.seconds(86_400)

    /// Without the right to publish, which is asked for anew with each publish.
    init(_ grant: Grant, at now: WallTime = .now) {
        principal = grant.principal
        subscribe = grant.subscribe.map(\.text)
        seesAllPublic = grant.seesAllPublic
        limitedTo = grant.limitedTo?.map(\.text)
        end = grant.end
        payload = grant.payload
        judged = now.milliseconds
    }

    /// How long ago it was judged; zero if that is in the future, by this clock.
    func age(at now: WallTime = .now) -> Duration {
        let (milliseconds, isTooMuch) = now.milliseconds.subtractingReportingOverflow(judged)
        return .milliseconds(isTooMuch ? Int64.max : max(0, milliseconds))
    }

    /// When it was judged, to put renewals in their order: now, unless it has come late.
    func time(at now: WallTime = .now) -> ContinuousClock.Instant {
        let age = age(at: now)
        return age < Self.clockDifference * 2 ? .now : .now - min(age, Self.longest)
    }

    func grant(at now: WallTime = .now) -> Grant {
        var grant = Grant(
            principal: principal, subscribe: Set(subscribe.map { TopicSelector($0) }), seesAllPublic: seesAllPublic,
            end: end,
            payload: payload)
        grant.limitedTo = limitedTo.map { Set($0.map { TopicSelector($0) }) }
        grant.judged = .now - min(age(at: now), Self.longest) - Self.clockDifference
        return grant
    }
}
