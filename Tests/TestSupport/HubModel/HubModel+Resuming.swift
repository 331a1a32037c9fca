// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting

/// The place at which the model expects a client to continue.
extension HubModel {
    func expectation(for id: ModelID, _ selection: Selection) -> ModelExpectation {
        switch id {
        case .earliest:
            var place = start
            place.isEarliest = true
            return ModelExpectation(
                place: place, placeBehindGap: place, needsGap: false, allowsGap: false, reasons: [])
        case .unknown: return unknown
        case .position(_, _, let life) where life != self.life: return unknown
        case .position(_, let place, _): return expectation(at: place, selection)
        case .chosen(let id): return expectation(forChosen: id, selection)
        }
    }

    /// Everything in history follows a gap.
    private var unknown: ModelExpectation {
        ModelExpectation(
            place: start, placeBehindGap: start, needsGap: true, allowsGap: true, reasons: [.unknown, .epoch])
    }

    private func expectation(at place: ModelPlace, _ selection: Selection) -> ModelExpectation {
        var behindGap = place
        behindGap.hear(of: mostRemoved)
        return ModelExpectation(
            place: place, placeBehindGap: behindGap, needsGap: misses(selection, at: place),
            allowsGap: mayMiss(selection, at: place), reasons: [.trimmed])
    }

    /// The earliest selected occurrence in history counts. If one was removed, the client may have seen that one.
    private func expectation(forChosen id: String, _ selection: Selection) -> ModelExpectation {
        let all = occurrences(of: id)
        let selected = all.filter { !isRemoved($0) && selection.contains($0.event) }
        guard !selected.isEmpty else { return unknown }
        // If the log may still have some of them, it is any up to the first that is certainly there.
        let sure = selected.firstIndex { !mayBeRemoved($0) }
        let candidates = selected[...(sure ?? selected.count - 1)]
        var place = ModelPlace(counts: lanes.map { _ in 0 })
        if Set(candidates.map(\.lane)).count == 1 { place.counts[candidates[0].lane] = candidates[0].index + 1 }
        for candidate in candidates { place.told[candidate.lane] = candidate.index + 1 }
        var expected = expectation(at: place, selection)

        let isShortened = all.contains { removed in
            isRemoved(removed) && all.contains { !mayBeRemoved($0) && wasOutlived(removed, by: $0) }
        }
        let mayBeShortened = all.contains(where: mayBeRemoved)
        if isShortened || mayBeShortened {
            expected.needsGap = expected.needsGap || isShortened
            expected.allowsGap = true
            // All of history follows, unless the gap may have another reason.
            expected.placeBehindGap = start
            if !isShortened { expected.placeBehindGap.hear(of: place.told) }
        }
        if sure == nil { expected.reasons.insert(.unknown) }
        return expected
    }

    /// The place of a client that asks for events since an age. Without a clock, the age must include all events.
    func expectation(since age: Duration?, _ selection: Selection) -> ModelExpectation {
        var place = start
        let time = age.flatMap { age in log.clock.map { $0.now.offset - age } } ?? .seconds(-1)
        for lane in lanes.indices {
            place.counts[lane] = lanes[lane].firstIndex { $0.time >= time } ?? lanes[lane].count
        }
        func removed(_ counts: [Int]) -> [Accepted] { lanes.indices.flatMap { lanes[$0][..<counts[$0]] } }
        let least = removed(leastRemoved)
        let most = removed(mostRemoved)
        return ModelExpectation(
            place: place, placeBehindGap: place,
            needsGap: least.contains { $0.time >= time && selection.contains($0.event) },
            allowsGap: most.contains { $0.time >= time } && most.contains { mayCount($0.event, as: selection) },
            reasons: [.trimmed])
    }
}

/// The expectation of the model for a subscription that resumes.
struct ModelExpectation {
    /// Where it continues without a gap, and where with one.
    var place: ModelPlace
    var placeBehindGap: ModelPlace
    /// Whether there must be a gap, and whether there may be one.
    var needsGap: Bool
    var allowsGap: Bool
    var reasons: Set<Gap.Reason>
}
