// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// How a connection is called in the events of its subscriptions: `urn:uuid:` and a random UUID (RFC 9562 section 5.4).
enum SubscriberID {
    static func make(using random: inout some RandomNumberGenerator) -> String {
        let high = random.next() & ~0xF000 | 0x4000
        let low = random.next() & ~(0xC0 << 56) | 0x80 << 56
        let (a, b) = (high.hexText, low.hexText)
        return "urn:uuid:\(a.prefix(8))-\(a.dropFirst(8).prefix(4))-\(a.suffix(4))-\(b.prefix(4))-\(b.suffix(12))"
    }

    static func make() -> String {
        var random = SystemRandomNumberGenerator()
        return make(using: &random)
    }
}
