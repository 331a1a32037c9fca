// SPDX-License-Identifier: Apache-2.0

import Martlet

extension LogContract {
    static let foreignChecks: [Check<[any Log]>] = [
        Check("A position of another log is a gap, and all of history follows") { logs in
            try require(logs.count == 2, "two logs are asked for, and there are \(logs.count)")
            let own = try await LogProbe(opening: logs[0])
            let other = try await LogProbe(opening: logs[1], with: SampleEvents.mixed)
            try await checkForeign(other, in: own)
            let full = try await LogProbe(opening: own.log, with: SampleEvents.mixed)
            try await checkForeign(other, in: full)
            try await checkForeign(full, in: other)
        }
    ]

    private static func checkForeign(_ other: LogProbe, in probe: LogProbe) async throws {
        for place in [other.start] + other.tailed.map(\.position) {
            for selection in SampleEvents.selections {
                let resolution = try await probe.log.resolve(place.text, for: selection)
                try require(
                    resolution.gap == .epoch || resolution.gap == .unknown,
                    "\(place) of another log resolves with \(resolution.gapText)")
                let read = try await probe.read(selection, after: resolution.position)
                let expected = probe.tailed.map(\.event).filter(selection.contains)
                try require(read.events, are: expected, "resuming after \(place) of another log")
            }
        }
    }
}
