// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite("Descriptor limit")
struct DescriptorLimitTests {
    @Test("It is as high as it can be raised")
    func raise() {
        let limit = DescriptorLimit.raise()
        #expect(limit > 0)
        #expect(DescriptorLimit.raise() == limit)
    }
}
