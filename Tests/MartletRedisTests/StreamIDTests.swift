// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import Testing

@testable import MartletRedis

@Suite("Places in a stream")
struct StreamIDTests {
    @Test("Ids are ordered as numbers")
    func order() throws {
        let ids = ["0-0", "0-1", "0-10", "9-9", "10-0", "18446744073709551615-18446744073709551615"]
        let parsed = ids.compactMap { StreamID($0) }
        #expect(parsed.map(\.description) == ids)
        #expect(parsed.sorted() == parsed)
        #expect(StreamID.before(milliseconds: 10) > StreamID(milliseconds: 9, number: 9))
        #expect(StreamID.before(milliseconds: 0) == .zero)
    }

    @Test(
        "A place has one spelling",
        arguments: [
            "", "abcdefgh", "abcdefgh-", "abcdefgh-1", "abcdefgh-1-", "abcdefgh-01-0", "abcdefgh-1-00", "abcdefgh-+1-0",
            "abcdefgh-1-0-0", "abcdefgh-18446744073709551616-0", "abcdefg-1-0", "ABCDEFGH-1-0", " abcdefgh-1-0",
            "abcdefgh-1-0 ", "-1-0", "abcdefgh--1",
        ])
    func spelling(text: String) {
        #expect(StreamPlace(text) == nil)
        #expect(StreamPlace("abcdefgh-1-0")?.position.text == "abcdefgh-1-0")
    }
}
#endif
