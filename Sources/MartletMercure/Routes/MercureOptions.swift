// SPDX-License-Identifier: Apache-2.0

/// How a hub speaks the Mercure protocol; what it accepts besides is in the hub's own limits (``Martlet/Limits``).
public struct MercureOptions: Hashable, Sendable {
    /// Whether the hub announces who is subscribed, and answers who asks for it, to those who have a right to know.
    public var activeSubscriptions = false
    /// The largest body of a publish, in bytes. A form needs up to three bytes for one of data.
    public var maximumBodyBytes = 1024 * 1024

    /// The largest answer to who asks for all subscriptions, or all to one selector, in bytes; above it he is refused.
    public var maximumListBytes = 32 * 1024 * 1024

    public init() {}
}
