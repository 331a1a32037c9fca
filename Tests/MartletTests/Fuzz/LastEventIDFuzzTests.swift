// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import TestSupport
import Testing

@Suite struct LastEventIDFuzzTests {
    @Test("A client resumes from any id, from a log in memory")
    func memory() async throws { try await LastEventIDFuzz.run(on: MemoryLog(clock: ManualClock())) }

    @Test("A client resumes from any id, from a log of two partitions")
    func vector() async throws { try await LastEventIDFuzz.run(on: VectorLog()) }
}
