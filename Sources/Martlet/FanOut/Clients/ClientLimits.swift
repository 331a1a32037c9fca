// SPDX-License-Identifier: Apache-2.0

/// The limits of single clients: of each principal, and of each address. `nil`: there is no such limit.
///
/// An address is an IPv4 address, or the /64 of an IPv6 address. All clients on Unix domain sockets are one address. Clients
/// without a principal have only the limits of their address.
public struct ClientLimits: Hashable, Sendable {
    /// The most connections of one address that are open at the same time.
    public var connectionsPerAddress: Int?
    /// The most streams of one principal that are open at the same time.
    public var streamsPerPrincipal: Int?
    /// The most streams of one address that are open at the same time.
    public var streamsPerAddress: Int?
    /// How many events a principal may publish.
    public var publishRatePerPrincipal: ClientRate?
    /// How many events the clients of an address may publish.
    public var publishRatePerAddress: ClientRate?
    /// How many bytes of events a principal may publish.
    public var publishBytesPerPrincipal: ClientRate?
    /// How many bytes of events the clients of an address may publish.
    public var publishBytesPerAddress: ClientRate?
    /// The most principals and addresses whose publishing is remembered. Beyond it, those that have published least recently
    /// are forgotten, and may publish a whole burst again.
    public var rememberedClients = 100_000

    public init() {}
}

/// A rate, and how much may come at once: a token bucket.
public struct ClientRate: Hashable, Sendable {
    /// How many a second, at least 1.
    public var perSecond: Int
    /// How many at once, at least 1, after a time without any.
    public var burst: Int

    /// How long it takes to save up a burst, where no other is given.
    public static let defaultBurstSeconds = 10

    /// - Parameter burst: `nil`: as many as in ten seconds.
    public init(perSecond: Int, burst: Int? = nil) {
        self.perSecond = max(1, perSecond)
        let usual = self.perSecond.multipliedReportingOverflow(by: Self.defaultBurstSeconds)
        self.burst = max(1, burst ?? (usual.overflow ? .max : usual.partialValue))
    }

    /// The time in which so many may come.
    func time(for count: Int) -> Duration { .seconds(1) * count / perSecond }
}

/// The name of a limit: that of its setting in `martlet serve`, which is also the label of its refusals in the metrics.
package enum ClientLimit: String, CaseIterable, Sendable {
    case connectionsPerAddress = "max-connections-per-address"
    case streamsPerPrincipal = "max-streams-per-principal"
    case streamsPerAddress = "max-streams-per-address"
    case publishRatePerPrincipal = "publish-rate-per-principal"
    case publishRatePerAddress = "publish-rate-per-address"
    case publishBytesPerPrincipal = "publish-bytes-per-principal"
    case publishBytesPerAddress = "publish-bytes-per-address"
}

/// A client is above a limit. Nothing was done.
package struct ClientRefusal: Error, Hashable {
    package let limit: ClientLimit
    /// How many may be open, or come in a second.
    package let most: Int
    /// After which time there is room, if nothing else takes it; `nil`: when something ends.
    package var wait: Duration?
}
