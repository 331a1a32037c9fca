// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import Testing

@Suite("Binary search")
struct BinarySearchTests {
    @Test("The first element for which the condition holds is found, or the end", arguments: 0..<20)
    func finds(count: Int) {
        let numbers = Array(0..<count)
        for bound in 0...count { #expect(numbers.partitioningIndex { $0 >= bound } == bound) }
        for bound in 100...100 + UInt64(count) {
            #expect((100..<100 + UInt64(count)).partitioningIndex { $0 >= bound } == bound)
        }
    }
}
