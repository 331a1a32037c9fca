// SPDX-License-Identifier: Apache-2.0

import MartletSupport
package import NIOCore

/// The addresses that only programs on this machine can reach.
package enum Loopback {
    /// Whether a host means this machine and nothing else: `localhost`, or an address in 127.0.0.0/8 or `::1`.
    ///
    /// - Parameter host: A name, or an address without brackets.
    package static func contains(_ host: String) -> Bool {
        if host.isExactlyIgnoringCase("localhost") { return true }
        return (try? SocketAddress(ipAddress: host, port: 0)).map(contains) ?? false
    }

    /// Whether only this machine has the address, or it is no address of a network.
    package static func contains(_ address: SocketAddress) -> Bool {
        switch address {
        case .v4: address.ipAddress?.startsExactly(with: "127.") == true
        case .v6: address.ipAddress.map { $0.isExactly("::1") || $0.startsExactly(with: "::ffff:127.") } == true
        case .unixDomainSocket: true
        }
    }
}
