// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// What a path of the API of subscriptions names; the path of one is also the topic of its events
/// (draft-dunglas-mercure-07, section "Active Subscriptions").
///
///     /.well-known/mercure/subscriptions{/selector}{/subscriber}
enum SubscriptionPath: Hashable, Sendable {
    /// All subscriptions.
    case all
    /// Those to a selector.
    case of(selector: String)
    case one(selector: String, subscriber: String)

    static let root = ReservedNamespace.path + "/subscriptions"

    /// - Parameter path: As it is in the request, nothing decoded, without the query.
    /// - Returns: `nil` where nothing can be: another path, an empty segment, more segments, or bad encoding.
    init?(_ path: some StringProtocol) {
        guard let segments = path.cutting(prefix: Self.root)?.splitExactly(at: UInt8(ascii: "/")), segments[0].isEmpty
        else { return nil }
        var values: [String] = []
        for segment in segments.dropFirst() {
            guard !segment.isEmpty, let bytes = segment.utf8.percentDecoded(),
                let value = String(validating: bytes, as: UTF8.self)
            else { return nil }
            values.append(value)
        }
        switch values.count {
        case 0: self = .all
        case 1: self = .of(selector: values[0])
        case 2: self = .one(selector: values[0], subscriber: values[1])
        default: return nil
        }
    }

    /// The path, in the one spelling that events and documents have: each variable encoded once.
    var text: String {
        switch self {
        case .all: Self.root
        case .of(let selector): "\(Self.root)/\(selector.percentEncoded)"
        case .one(let selector, let subscriber):
            "\(Self.root)/\(selector.percentEncoded)/\(subscriber.percentEncoded)"
        }
    }

    static func == (a: SubscriptionPath, b: SubscriptionPath) -> Bool { a.text.isExactly(b.text) }

    func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
