// SPDX-License-Identifier: Apache-2.0

import Martlet

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

    /// The start of the name of the check that finds the fault.
    var check: String {
        switch self {
        case .losesAnEvent, .repeatsAnEvent, .changesAnEvent, .reordersATopic:
            "Reading from the earliest gives every event as it was accepted, each topic in order"
        case .showsPrivateEvents: "A selection gives its topics, and private events only if it includes them"
        case .ignoresTheLimit, .endsASliceTooFar: "Reading in slices of any size gives the same as reading at once"
        case .readsPastTheEnd: "Reading up to a position gives every event up to there and no later one"
        case .claimsAGap: "Reading an empty log is complete at once"
        case .hasOnePosition: "Positions are all different"
        case .changesSpellings: "Every text comes back byte for byte"
        case .takesAnySpelling: "A key with another spelling of the same events is refused"
        case .coversEverything: "A position covers itself and earlier ones, and no later one"
        case .forgetsAPosition: "Appending no events does nothing"
        case .resolvesToTheTail: "A reader that resumes after any event gets exactly the rest"
        case .resolvesToTheBeginning: "A publisher's id is after its earliest occurrence"
        case .believesAnyID: "An unknown id is a gap, and all of history follows"
        case .knowsIDsOfOthers: "The id of an event that a client does not select, or may not see, is unknown to it"
        case .tailsNothing: "The tail waits for an event"
        case .ignoresKeys: "Events with a key are accepted once, and every retry gets the first answer"
        case .ignoresTime: "Reading since a day gives every new event"
        case .swallowsCancellation: "A cancelled tail throws CancellationError and loses no event"

        case .removesNothing, .removesTooMuch: "History holds the newest events, and the oldest are removed for good"
        case .keepsQuietAboutGaps, .claimsAGapForPrivateEvents: "A reader that resumes is told of removed events"
        case .keepsQuietAboutTimes: "A time before removed events has a gap"
        case .overtakesReadersInSilence: "A reader that is overtaken is told once"
        case .claimsAGapInWhatNobodyAsksFor: "A reader receives no gap that begins after its end"
        case .claimsAGapForQuietTopics: "A quiet topic has no gap when events of other topics are removed"
        case .missesSomethingAfterTheEarliest: "The earliest position never has a gap"
        case .believesARepeatedID: "A repeated id has a gap once one of its events was removed"
        case .tailsInLeaps: "A tail that falls behind gives every event or reports a gap"

        case .losesAnEventInARestart, .opensAtItsBeginning: "Accepted events are there after"
        case .ordersOneLifeOnly: "Every place after a crash covers"
        case .forgetsItsPlaces: "A reader resumes exactly from every place and id from before"
        case .forgetsItsKeys: "Keys from before"
        case .forgetsItsGaps: "A reader that missed events removed before"
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
