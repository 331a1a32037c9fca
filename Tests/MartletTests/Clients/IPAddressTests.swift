// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import Martlet

@Suite("Addresses and networks")
struct IPAddressTests {
    @Test(
        "A text that is no address is none",
        arguments: [
            "", " ", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\0", "1.2.3.4\0x",
            "[::1]", "::1%lo", "fe80::1%eth0", "1.2.3.4:80", "1.2.3.4/8", ":::", "1::2::3", "g::", "localhost", "unix",
            "0x7f.0.0.1", "2130706433", "\u{FF11}.2.3.4", String(repeating: "1", count: 100_000),
        ])
    func malformed(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("An address of IPv4 equals the same one mapped into IPv6")
    func mapped() throws {
        let address = try #require(IPAddress("192.0.2.1"))
        #expect(address == IPAddress("::ffff:192.0.2.1"))
        #expect(address == IPAddress([192, 0, 2, 1]))
        #expect(address != IPAddress("::192.0.2.1"))
        #expect(address.isIPv4)
        #expect(address.socketAddress(port: 5)?.ipAddress == "192.0.2.1")
        #expect(IPAddress("2001:db8::1")?.socketAddress()?.ipAddress == "2001:db8::1")
        for text in ["192.0.2.1", "2001:db8:1:2:3:4:5:6", "::1", "::"] {
            #expect(IPAddress(try SocketAddress(ipAddress: text, port: 1)) == IPAddress(text))
        }
        #expect(IPAddress(try SocketAddress(unixDomainSocketPath: "/a")) == nil)
        for count in [0, 3, 5, 15, 17] { #expect(IPAddress([UInt8](repeating: 1, count: count)) == nil) }
    }

    @Test("A client is an address of IPv4, or the /64 of one of IPv6")
    func client() throws {
        #expect(IPAddress("192.0.2.1")?.client != IPAddress("192.0.2.2")?.client)
        #expect(IPAddress("2001:db8:1:2::1")?.client == IPAddress("2001:db8:1:2:ffff:ffff:ffff:ffff")?.client)
        #expect(IPAddress("2001:db8:1:2::1")?.client != IPAddress("2001:db8:1:3::1")?.client)
        #expect(IPAddress("::ffff:192.0.2.1")?.client == IPAddress("192.0.2.1")?.client)
        #expect(IPAddress("::1")?.client != IPAddress("0.0.0.0")?.client)
    }

    @Test(
        "A network contains its first and its last address, and not those beside it",
        arguments: [
            ("10.0.0.0/8", "10.0.0.0", "10.255.255.255", ["9.255.255.255", "11.0.0.0", "2001:db8::1"]),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.255", ["192.0.2.127", "192.0.3.0"]),
            ("192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1", ["192.0.2.0", "192.0.2.2"]),
            ("192.0.2.1/32", "192.0.2.1", "192.0.2.1", ["192.0.2.0", "192.0.2.2"]),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255", ["::1", "::"]),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ["0.0.0.0", "192.0.2.1"]),
            ("2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", ["2001:db7::", "2001:db9::"]),
            ("2001:db8::/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", ["2001:db8:0:1::"]),
            ("2001:db8::8/125", "2001:db8::8", "2001:db8::f", ["2001:db8::7", "2001:db8::10"]),
            ("::1/128", "::1", "::1", ["::", "::2"]),
            ("::ffff:10.0.0.0/104", "10.0.0.0", "10.255.255.255", ["11.0.0.0", "::"]),
        ] as [(String, String, String, [String])])
    func contains(network: String, first: String, last: String, others: [String]) throws {
        let network = try #require(IPNetwork(network))
        #expect(network.contains(try #require(IPAddress(first))))
        #expect(network.contains(try #require(IPAddress(last))))
        for other in others { #expect(!network.contains(try #require(IPAddress(other)))) }
    }

    @Test(
        "A text that is no network is none",
        arguments: [
            "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0.0/ 8",
            "10.0.0.0/0008", "10.0.0.1/8", "2001:db8::/129", "2001:db8::1/32", "10.0.0.0/255.0.0.0", "unix", "*",
            "10.0.0.0/\u{0668}",
        ])
    func noNetwork(text: String) {
        #expect(IPNetwork(text) == nil)
    }
}
