// SPDX-License-Identifier: Apache-2.0

/// The addresses that only programs on this machine can reach.
enum Loopback {
    /// Whether `host` is `localhost`, `::1` or in 127.0.0.0/8.
    static func contains(_ host: String) -> Bool {
        let octets = host.split(separator: ".", omittingEmptySubsequences: false)
        return host == "localhost" || host == "::1"
            || octets.count == 4 && octets[0] == "127" && octets.allSatisfy { UInt8($0) != nil }
    }
}
