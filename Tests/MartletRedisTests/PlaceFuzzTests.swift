// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import TestSupport
import Testing

@testable import MartletRedis

@Suite struct PlaceFuzzTests {
    @Test("A place has one spelling")
    func places() async {
        var input = FuzzInput(pieces: ["0", "7", "z", "-", "k3v9x2ma", "18446744073709551615", "+", "\u{E9}"])
        while await input.next(from: ["k3v9x2ma-1700000000000-0", "k3v9x2ma-0-18446744073709551615"]) {
            guard let place = StreamPlace(input.text) else { continue }
            if !place.position.text.utf8.elementsEqual(input.bytes) { input.fail("it is \(place.position.text)") }
        }
    }
}
#endif
