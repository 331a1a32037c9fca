// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting

/// What a ``BrokenLog`` does wrong.
enum BrokenLogFault: CaseIterable {
    case losesAnEvent
    case repeatsAnEvent
    case changesAnEvent
    case reordersATopic
    case showsPrivateEvents
    case ignoresTheLimit
    case readsPastTheEnd
    case endsASliceTooFar
    case claimsAGap
    case hasOnePosition
    case changesSpellings
    case takesAnySpelling
    case coversEverything
    case forgetsAPosition
    case resolvesToTheTail
    case resolvesToTheBeginning
    case believesAnyID
    case knowsIDsOfOthers
    case tailsNothing
    case swallowsCancellation
    case ignoresKeys
    case ignoresTime

    case removesNothing
    case removesTooMuch
    case keepsQuietAboutGaps
    case keepsQuietAboutTimes
    case overtakesReadersInSilence
    case claimsAGapInWhatNobodyAsksFor
    case claimsAGapForQuietTopics
    case claimsAGapForPrivateEvents
    case missesSomethingAfterTheEarliest
    case believesARepeatedID
    case tailsInLeaps

    case losesAnEventInARestart
    case opensAtItsBeginning
    case ordersOneLifeOnly
    case forgetsItsPlaces
    case forgetsItsKeys
    case forgetsItsGaps

    /// How the name of the check begins that finds out.
    var check: String {
        switch self {
        case .losesAnEvent, .repeatsAnEvent, .changesAnEvent, .reordersATopic:
            "Reading from the earliest gives every event as it was accepted, each topic in order"
        case .showsPrivateEvents: "A selection gives its topics, and private events only where it includes them"
        case .ignoresTheLimit, .endsASliceTooFar: "Reading in slices of any size gives the same as reading at once"
        case .readsPastTheEnd: "Reading up to a position gives everything up to there and nothing behind it"
        case .claimsAGap: "An empty log is read to its end at once"
        case .hasOnePosition: "Positions are all different"
        case .changesSpellings: "Every text comes back byte for byte"
        case .takesAnySpelling: "A key with another spelling of the same events is refused"
        case .coversEverything: "A position covers itself and everything before it, and nothing behind it"
        case .forgetsAPosition: "Appending no events does nothing"
        case .resolvesToTheTail: "Who goes on from any event that he has read gets exactly the rest"
        case .resolvesToTheBeginning: "A publisher's id stands behind its earliest occurrence"
        case .believesAnyID: "An unknown id is a gap, and all of history follows"
        case .knowsIDsOfOthers: "An id of an event that a client does not select, or may not see, is unknown to it"
        case .tailsNothing: "The tail waits until there is something"
        case .ignoresKeys: "Events with a key are accepted once, and always answered as the first time"
        case .ignoresTime: "Who asks for what is not older than a day gets everything that came just now"
        case .swallowsCancellation: "A cancelled tail ends with CancellationError, and loses nothing"

        case .removesNothing, .removesTooMuch: "History holds the newest events, and the oldest are removed for good"
        case .keepsQuietAboutGaps, .claimsAGapForPrivateEvents: "Who has missed something that was removed is told when"
        case .keepsQuietAboutTimes: "Who asks for a time when events came that were removed is told"
        case .overtakesReadersInSilence: "A reader that is overtaken is told once up to where something is missing"
        case .claimsAGapInWhatNobodyAsksFor: "A reader is told of no gap behind where it wants to go"
        case .claimsAGapForQuietTopics: "A quiet topic has no gap, however much of the others was removed"
        case .missesSomethingAfterTheEarliest: "Nothing is ever missing after the earliest"
        case .believesARepeatedID: "A repeated id of which an occurrence was removed may be that one: a gap"
        case .tailsInLeaps: "A tail that stays behind is given everything, or told that something is missing"

        case .losesAnEventInARestart, .opensAtItsBeginning: "What was accepted is there after"
        case .ordersOneLifeOnly: "Every place from before a crash is covered"
        case .forgetsItsPlaces: "Every place and every id from before"
        case .forgetsItsKeys: "Keys from before"
        case .forgetsItsGaps: "Who has missed something that was removed before"
        }
    }

    /// Whether it shows after a restart only.
    var needsRestart: Bool {
        switch self {
        case .losesAnEventInARestart, .opensAtItsBeginning, .ordersOneLifeOnly, .forgetsItsPlaces, .forgetsItsKeys,
            .forgetsItsGaps:
            true
        default: false
        }
    }

    /// What the log keeps instead of so many events.
    func retention(of events: Int) -> Retention {
        switch self {
        case .removesNothing: Retention()
        case .removesTooMuch: Retention(events: events - 1)
        default: Retention(events: events)
        }
    }
}
