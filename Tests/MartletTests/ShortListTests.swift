// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

@Suite struct ShortListTests {
    @Test("It is the list that an array would be")
    func itIsTheList() {
        var random = SeededGenerator(seed: 1)
        var list = ShortList<Int>()
        var array: [Int] = []
        for round in 0..<2000 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0...1:
                list.append(round)
                array.append(round)
            case 2:
                #expect(list.popLast() == array.popLast())
            case 3 where !array.isEmpty:
                let place = array.indices.randomElement(using: &random)!
                list[place] = -round
                array[place] = -round
            case 4 where !array.isEmpty:
                let place = array.indices.randomElement(using: &random)!
                list.swapRemove(at: place)
                array.swapAt(place, array.count - 1)
                array.removeLast()
            default: break
            }
            #expect(Array(list) == array)
        }
    }
}
