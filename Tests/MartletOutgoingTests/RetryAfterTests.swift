// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletOutgoing

@Suite("What servers ask to wait") struct RetryAfterTests {
    /// 6 November 1994, 08:49:37.
    private static let now = 784_111_777
    private static let date = "Sun, 06 Nov 1994 08:49:37 GMT"

    @Test(
        "A number of seconds is waited, up to the longest",
        arguments: [
            ("0", .zero), ("7", .seconds(7)), (" 7 ", .seconds(7)), ("007", .seconds(7)),
            ("2147483", .seconds(2_147_483)),
            ("2147484", RetryAfter.longest), ("9223372036854775807", RetryAfter.longest),
            (String(repeating: "9", count: 1000), RetryAfter.longest), ("", .zero), ("-1", .zero), ("+1", .zero),
            ("1.5", .zero), ("soon", .zero), ("\u{661}", .zero),
        ] as [(String, Duration)])
    func seconds(field: String, wait: Duration) {
        #expect(RetryAfter.wait(field, date: nil, now: Self.now) == wait)
    }

    @Test(
        "A date counts from the date of the answer, or else from now, up to the longest",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:57 GMT", nil, .seconds(20)), ("Sun, 06 Nov 1994 08:49:57 GMT", date, .seconds(20)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", "Sun, 06 Nov 1994 08:49:52 GMT", .seconds(5)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", "yesterday", .seconds(20)), (date, nil, .zero),
            ("Sun, 06 Nov 1994 08:49:36 GMT", nil, .zero), ("Thu, 01 Jan 1970 00:00:00 GMT", nil, .zero),
            ("Fri, 31 Dec 9999 23:59:59 GMT", nil, RetryAfter.longest), ("Sat, 01 Jan 0000 00:00:00 GMT", nil, .zero),
        ] as [(String, String?, Duration)])
    func dates(field: String, date: String?, wait: Duration) {
        #expect(RetryAfter.wait(field, date: date, now: Self.now) == wait)
    }

    @Test(
        "All three forms of dates are read",
        arguments: [
            (date, now), ("Sunday, 06-Nov-94 08:49:37 GMT", now), ("Sun Nov  6 08:49:37 1994", now),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400), ("Thursday, 01-Jan-70 00:00:00 GMT", 0),
            ("Saturday, 01-Jan-44 00:00:00 GMT", 2_335_219_200), ("Sunday, 01-Jan-45 00:00:00 GMT", -788_918_400),
        ])
    func forms(text: String, seconds: Int) {
        #expect(HTTPDate.seconds(text[...], now: Self.now) == seconds)
    }

    @Test(
        "What is no date is none",
        arguments: [
            "", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 19940 08:49:37 GMT", "Sun, +6 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
        ])
    func malformed(text: String) {
        #expect(HTTPDate.seconds(text[...], now: Self.now) == nil)
    }
}
