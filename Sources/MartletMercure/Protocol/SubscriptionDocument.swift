// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletSupport

/// A subscription as JSON-LD (draft-dunglas-mercure-07, section "Active Subscriptions"): the data of its events, and the
/// answers of the API. The members are always in the same order, so equal subscriptions have equal bytes.
struct SubscriptionDocument: Sendable {
    static let contentType = "application/ld+json"
    static let context = "https://mercure.rocks/"

    /// The selector, as the subscriber wrote it.
    var selector: String
    /// The id of the connection; see ``SubscriberID``.
    var subscriber: String
    var isActive: Bool
    /// The payload of the token, which must be JSON already; `nil` if there is none.
    var payload: String?

    var path: SubscriptionPath { .one(selector: selector, subscriber: subscriber) }

    /// The data of an event.
    var json: String { "{\(Self.member("@context", Self.context)),\(members)}" }

    /// The answer of the API for one subscription.
    ///
    /// - Parameter lastEventID: The id of the last event that was published when the answer was made.
    func json(lastEventID: String) -> String {
        "{\(Self.member("@context", Self.context)),\(members),\(Self.member("lastEventID", lastEventID))}"
    }

    /// The answer of the API for several subscriptions.
    ///
    /// - Parameter path: The path of the request, which is the `id` of the collection.
    static func json(
        _ subscriptions: some Sequence<SubscriptionDocument>, at path: SubscriptionPath, lastEventID: String
    ) -> String {
        let head = [
            member("@context", context), member("id", path.text), member("type", "Subscriptions"),
            member("lastEventID", lastEventID),
        ]
        let items = subscriptions.map { "{\($0.members)}" }.joined(separator: ",")
        return "{\(head.joined(separator: ",")),\"subscriptions\":[\(items)]}"
    }

    /// An upper bound for the bytes of ``json``: three for each byte of the selector in the path, and six in JSON.
    var mostBytes: Int { 9 * selector.utf8.count + 4 * subscriber.utf8.count + (payload?.utf8.count ?? 0) + 256 }

    private var members: String {
        var members = [
            Self.member("id", path.text), Self.member("type", "Subscription"), Self.member("subscriber", subscriber),
            Self.member("topic", selector), "\"active\":\(isActive)",
        ]
        if let payload { members.append("\"payload\":\(payload)") }
        return members.joined(separator: ",")
    }

    private static func member(_ name: String, _ value: String) -> String { "\"\(name)\":\(value.jsonQuoted)" }
}

/// A path of the subscription API. The path of one subscription is also the topic of its events
/// (draft-dunglas-mercure-07, section "Active Subscriptions").
///
///     /.well-known/mercure/subscriptions{/selector}{/subscriber}
enum SubscriptionPath: Hashable, Sendable {
    /// All subscriptions.
    case all
    /// All subscriptions to a selector.
    case of(selector: String)
    case one(selector: String, subscriber: String)

    static let root = ReservedNamespace.path + "/subscriptions"

    /// `nil` for another path, an empty segment, too many segments, or bad encoding.
    ///
    /// - Parameter path: The path as the client wrote it: not decoded, and without the query.
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

    /// The path in the spelling of events and documents: each variable is encoded once.
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

/// The strong entity tag of a document (RFC 9110 section 8.8.3): the 64-bit FNV-1a hash of its bytes. Equal bytes have the
/// same tag in every process. The hash detects changes; it is not cryptographic.
enum EntityTag {
    /// With its quotes, as in the header `ETag`.
    static func make(of document: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in document.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return "\"\(hash.hexText)\""
    }

    /// Whether `If-None-Match` holds the tag, so that the answer is 304 (RFC 9110 section 13.1.2: weak comparison).
    static func matches(_ tag: String, ifNoneMatch: String) -> Bool {
        ifNoneMatch.utf8.split(separator: UInt8(ascii: ",")).contains { entry in
            let trimmed = entry.filter { $0 != 0x20 && $0 != 0x09 }
            return trimmed.elementsEqual("*".utf8) || trimmed.elementsEqual(tag.utf8)
                || trimmed.elementsEqual("W/\(tag)".utf8)
        }
    }
}
