// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletHTTP

@Suite("Loopback addresses")
struct LoopbackTests {
    @Test(
        "localhost, 127.0.0.0/8 and ::1 are reached from this machine only",
        arguments: ["localhost", "LocalHost", "127.0.0.1", "127.0.0.0", "127.255.255.255", "::1", "::ffff:127.0.0.1"]
    )
    func loopback(host: String) {
        #expect(Loopback.contains(host))
    }

    @Test(
        "All others may be reached from elsewhere",
        arguments: [
            "", "0.0.0.0", "::", "126.255.255.255", "128.0.0.1", "0127.0.0.1", "127.0.0", "127.0.0.+1",
            "127.0.0.1\u{301}", "[::1]", "127.0.0.1.", "127.0.0.256",
            "127.0.0.1.example.org", "localhost.example.org", "::2", "::ffff:128.0.0.1", "192.168.0.1",
        ]
    )
    func others(host: String) {
        #expect(!Loopback.contains(host))
    }
}
