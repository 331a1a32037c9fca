// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHTTP
import MartletSupport

extension SettingFormat<ClientRate> {
    private static let eventRange = 1...1_000_000_000
    private static let byteRange = 1...(1 << 40)

    /// Events in a second, and perhaps a colon and how many at once: `10:50`.
    static var eventRate: Self {
        Self(
            expectation: "a number of events from 1 to \(eventRange.upperBound), or two with a colon between them",
            range: eventRange, parse: { Int($0) }, describe: { String($0) })
    }

    /// Bytes in a second, and perhaps a colon and how many at once: `64KiB:1MiB`.
    static var byteRate: Self {
        Self(
            expectation: "a size from 1 to 1TiB, or two with a colon between them", range: byteRange,
            parse: UnitScale.bytes.parse, describe: UnitScale.bytes.describe)
    }

    private init(
        expectation: String, range: ClosedRange<Int>, parse: @escaping @Sendable (String) -> Int?,
        describe: @escaping @Sendable (Int) -> String
    ) {
        @Sendable func number(_ text: Substring) -> Int? {
            parse(String(text)).flatMap { range.contains($0) ? $0 : nil }
        }
        self.init(
            valueName: "rate", expectation: expectation,
            parse: { text in
                let parts = text.splitExactly(at: UInt8(ascii: ":"))
                guard parts.count <= 2, let rate = number(parts[0]) else { return nil }
                guard parts.count == 2 else { return ClientRate(perSecond: rate) }
                return number(parts[1]).map { ClientRate(perSecond: rate, burst: $0) }
            },
            describe: { "\(describe($0.perSecond)):\(describe($0.burst))" })
    }
}

extension ClientRate {
    /// Examples for messages.
    static let tenEvents = ClientRate(perSecond: 10, burst: 50)
    static let tenPages = ClientRate(perSecond: 64 << 10, burst: 1 << 20)
}

extension SettingFormat<TrustedProxies> {
    /// Networks with spaces or commas between them.
    static var proxies: Self {
        Self(
            valueName: "networks",
            expectation: """
                networks with spaces between them, such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.1, without bits behind the \
                prefix; or unix
                """,
            parse: { text in
                let words = text.words(between: listSeparators).map(String.init)
                return words.isEmpty ? nil : try? TrustedProxies(words)
            },
            describe: { $0.isEmpty ? "10.0.0.0/8" : $0.places.joined(separator: " ") })
    }
}
