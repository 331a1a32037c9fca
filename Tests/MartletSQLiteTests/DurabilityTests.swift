// SPDX-License-Identifier: Apache-2.0

import MartletSQLite
import Testing

@Suite("Durability")
struct DurabilityTests {
    @Test("It is written as in the settings")
    func texts() {
        #expect(Durability.allCases.map(\.rawValue) == ["commit", "os"])
    }
}
