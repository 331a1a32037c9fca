// SPDX-License-Identifier: Apache-2.0

public import Martlet
import MartletOutgoing
import MartletSupport

/// Where hooks go, and what they are about.
public struct HookConfiguration: Sendable {
    let url: OutgoingURL
    /// The topics that hooks are about. A pattern that clients subscribe to counts if `*` or the same text is here.
    public var topics: Set<TopicSelector> = [.every]
    /// What signs the hooks: each gives one signature, so that a receiver can change its secret. Empty: no signature.
    public var secrets: [HookSecret] = []
    /// Bounds and times.
    public var limits = HookLimits()

    /// - Parameter url: `http` or `https`.
    /// - Throws: ``HookError`` if this is no such URL.
    public init(url: String) throws(HookError) {
        do { self.url = try OutgoingURL(setting: url) } catch { throw HookError("The URL \(error).") }
    }
}

/// The bounds of hooks and of their delivery.
public struct HookLimits: Hashable, Sendable {
    /// The time that the receiver has for one request and its answer.
    public var timeout = Duration.seconds(5)
    /// How long a topic must be without subscribers before it counts as vacated. It should be longer than clients wait
    /// before they reconnect (``/Martlet/HubConfiguration/retry``).
    public var delay = Duration.seconds(5)
    /// The most hooks that wait for the receiver. Beyond it, the oldest is dropped.
    public var queue = 10_000
    /// The greatest age of a hook that waits for the receiver. An older one is dropped.
    public var maximumAge = Duration.seconds(3600)
    /// The most topics that are followed, on this node and on all nodes. Further ones are left out.
    public var trackedTopics = Occupancy.defaultLimit
    /// The least and the greatest wait before a request is repeated. The wait doubles with each failure.
    public var retry = Duration.milliseconds(500)...Duration.seconds(60)
    /// The times of the exchange with the other nodes.
    public var exchange: ExchangeConfiguration

    /// The most hooks in one request: about topics, and about streams that have ended.
    static let hooksPerRequest = 100
    /// The largest body of an answer. Only the status counts.
    static let answerBytes = 64 * 1024
    /// How long a shutdown waits for hooks to be delivered.
    static let flushTime = Duration.seconds(2)
    /// The least time that a node must have been the first on the board before it sends hooks, in intervals of the exchange:
    /// in this time, all others appear on a board that was emptied.
    private static let settlingIntervals = 4

    public init() {
        exchange = ExchangeConfiguration()
        exchange.interval = .milliseconds(500)
    }

    /// How long a node must have been the first on the board before it sends hooks.
    var settling: Duration { max(delay, exchange.interval * Self.settlingIntervals) }

    /// How long a node that does not send hooks remembers changes, in case the node that does is dead already.
    var memory: Duration { exchange.expiry + settling * 2 }
}

/// A secret that signs hooks. Logs and debuggers show `(secret)` in its place.
public struct HookSecret: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let bytes: [UInt8]

    /// The shortest secret, in bytes.
    public static let leastBytes = 16

    /// - Throws: ``HookError`` if the secret is shorter than ``leastBytes``.
    public init(_ text: String) throws(HookError) {
        guard text.utf8.count >= Self.leastBytes else {
            throw HookError(
                "A secret has \(text.utf8.count) bytes, which can be guessed. Use at least \(Self.leastBytes), such as from "
                    + "openssl rand -hex 32.")
        }
        bytes = Array(text.utf8)
    }

    public var description: String { "(secret)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// A setting of hooks is unusable.
public struct HookError: Error, Hashable, CustomStringConvertible {
    /// What is wrong and what to do. It contains no secret.
    public let description: String

    init(_ description: String) { self.description = description }
}
