// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Martlet
import NIOCore
import Testing

@testable import MartletHTTP

@Suite struct ProblemTests {
    private func title(_ status: HTTPResponse.Status) throws -> String? {
        try JSONValue(parsing: Problem(status, "No.").document.readableBytesView)["title"]?.stringValue
    }

    @Test(
        "The title of a problem is the phrase of its status, and never empty",
        arguments: [
            (400, "Bad Request"), (401, "Unauthorized"), (403, "Forbidden"), (413, "Payload Too Large"),
            (503, "Service Unavailable"), (507, "Insufficient Storage"), (599, "Status 599"), (0, "Status 0"),
        ])
    func titleOfAProblem(code: Int, phrase: String) throws {
        #expect(try title(HTTPResponse.Status(code: code)) == phrase)
        #expect(try title(HTTPResponse.Status(integerLiteral: code)) == phrase)
        #expect(try title(HTTPResponse.Status(code: code, reasonPhrase: "Own")) == "Own")
    }

    @Test(
        "A grant may end at any date",
        arguments: [
            Double.infinity, -.infinity, .nan, 1e300, -1e300, 9e18, 253_402_300_799, 0, Double(Int64.max),
            Double(Int64.min),
        ])
    func grantMayEndAtAny(seconds: Double) throws {
        let grant = Grant(seesAllPublic: true, end: Date(timeIntervalSince1970: seconds))
        let end = try #require(grant.instantOfEnd)
        #expect((end > .now + .seconds(1000)) == (seconds > 2e9))
    }
}
