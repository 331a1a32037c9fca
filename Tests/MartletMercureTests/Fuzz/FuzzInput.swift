// SPDX-License-Identifier: Apache-2.0

import TestSupport

extension FuzzInput {
    /// Inputs for what reads the Mercure protocol.
    init() { self.init(pieces: Self.mercure) }

    private static let mercure = [
        "topic=", "topic", "data=", "id=", "type=", "retry=", "private", "lastEventID=", "Last-Event-ID=", "match",
        "match_exact=", "authorization=", "stream=", "since=", "24h", "2026-11-24T18:00:00", ".5", "+01:00", "=", "&",
        "&&", "%", "%2", "%2F", "%5c", "%2e", "%6D", "%00",
        "%0A",
        "%C3%A9", "%FF", "%zz", "+", " ", "/", "//", "\\", ".", "..", "/../", ".well-known", "mercure", "/.well-known",
        "/.well-known/mercure", "/subscriptions", "/.well-known/mercure/subscriptions", "subscriptions/", "https:",
        "http://h", "?", "#", ":", "@", "urn:uuid:", "{", "}", "{a}", "{+a}", "{#a}", "{/a*}", "{.a}", "{;a,b}",
        "{?a,b}",
        "{&a:3}", "{a", "a}", "*", ",", "a", "Z", "~", "0", "7", "86400000", "99999999999999999999", "-1", "earliest",
        "gap", "\0", "\r\n", "\u{7F}", "\u{85}", "\u{E9}", "e\u{301}", "\u{1F426}", "\u{202E}",
    ]
}
