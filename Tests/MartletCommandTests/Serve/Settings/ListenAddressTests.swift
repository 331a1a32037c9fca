// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite("Where the hub listens")
struct ListenAddressTests {
    @Test("An interface or a socket is read as it is written", arguments: ["localhost", "::1", "0.0.0.0", "unix:/a b"])
    func text(text: String) {
        #expect(ListenAddress(text)?.text == text)
    }

    @Test(
        "Addresses on which nothing can listen are refused", arguments: ["", " ", "a b", "a\n", "unix:", "unix:/a\0b"])
    func refused(text: String) {
        #expect(ListenAddress(text) == nil)
    }

    @Test("A path is as long as the system allows")
    func longestPath() {
        let path = "/" + String(repeating: "a", count: ListenAddress.pathBytes - 1)
        #expect(ListenAddress("unix:\(path)") == .unix(path: path))
        #expect(ListenAddress("unix:\(path)a") == nil)
    }

    @Test("Only this machine reaches a socket")
    func locality() {
        #expect(ListenAddress("unix:/a")?.isLocal == true)
        #expect(ListenAddress("127.0.0.1")?.isLocal == true)
        #expect(ListenAddress("0.0.0.0")?.isLocal == false)
    }

    @Test("Users are told how to see that it runs")
    func invitation() {
        let v6 = ListenAddress.interface("::1").invitation(port: 80)
        #expect(v6 == "Open http://[::1]:80/ or: curl -N http://[::1]:80/events/demo")
        let socket = ListenAddress.unix(path: "/a").invitation(port: 80)
        #expect(socket == "Try: curl -N --unix-socket /a http://localhost/events/demo")
    }
}
